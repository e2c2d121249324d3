/**
 * Loaded before a program that must not outlive the one which started it: the channel between them closes when that
 * one ends, however it ends.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// Listening would keep the process alive by itself.
process.channel?.unref()
