/** Longest delay of a Node timer; above it the timer fires at once (Node documentation, `setTimeout`). */
export const longestTimerMs = 2_147_483_647
