import type { Overview } from '../src/contract.ts'

/** Shows the first sentence. */
async function show(): Promise<void> {
  const answer = await fetch('/console/api/overview')
  const { verdict } = (await answer.json()) as Overview
  const main = document.querySelector('main')
  if (main) main.textContent = verdict.sentence
}

await show()
