import { expect, test } from '@jest/globals'
import { readmeSteps } from './readme-steps.ts'

const markdown = `# A title

\`\`\`sh
echo a
echo b
\`\`\`

\`\`\`text
a
b
\`\`\`

Not the output of anything, since words are between:

\`\`\`json
{}
\`\`\`

<!-- runs on: listening -->

\`\`\`sh
serve
\`\`\`

\`\`\`sh
ask
\`\`\`

Words.

\`\`\`text
no output either
\`\`\`

<!-- Ctrl-C -->

<!-- not run: it takes a day -->

\`\`\`sh
long
\`\`\`

\`\`\`js
neither()
\`\`\`
`

test('the shell blocks of a README are its steps, each with what it prints and what is particular about it', () => {
  expect(readmeSteps(markdown)).toEqual([
    { kind: 'run', line: 3, script: 'echo a\necho b', shown: 'a\nb' },
    { kind: 'serve', line: 21, script: 'serve', ready: 'listening' },
    { kind: 'run', line: 25, script: 'ask', shown: undefined },
    { kind: 'stop', line: 35 },
    { kind: 'skip', line: 39, script: 'long', reason: 'it takes a day' },
  ])
})
