import { expect, test } from '@jest/globals'
import { TomlDocument, type TomlPath } from './toml-document.ts'

/** Every scalar is the number of its own line, so that a document says by itself what is expected. */
const document = `# a comment with [server] and a = 1
top = 2
[ server ] # [not.this]
listen=4
'a.b' . "c\\u0041" = 5
dotted.key.here = 6
text = """
  [metrics]
  listen = "no" \\""" ""
"""
literal = '''
x = [ ''''
after = 13
"" = 14

[groups."a.b"]
list = [17, 17, # ]
  18, "#", '[',
  [19, { x = 19, y.z = [19,
    20] }],
  21,
]
day = 1979-05-27 07:32:00
last = 24

[[routes]]
prefix = 27
[[routes]]
prefix = 29
[routes.more]
deep = 31
[[routes.more.list]]
one = 33\r
two = 34\r
[[routes]] \r
prefix = 36`

test.each<[TomlPath, number]>([
  [['top'], 2],
  [['server'], 3],
  [['server', 'listen'], 4],
  [['server', 'a.b', 'cA'], 5],
  [['server', 'dotted', 'key', 'here'], 6],
  [['server', 'text'], 7],
  [['server', 'literal'], 11],
  [['server', 'after'], 13],
  [['server', ''], 14],
  [['groups'], 16],
  [['groups', 'a.b', 'list', 0], 17],
  [['groups', 'a.b', 'list', 2], 18],
  [['groups', 'a.b', 'list', 4], 18],
  [['groups', 'a.b', 'list', 5, 1, 'x'], 19],
  [['groups', 'a.b', 'list', 5, 1, 'y', 'z', 1], 20],
  [['groups', 'a.b', 'list', 6], 21],
  [['groups', 'a.b', 'last'], 24],
  [['routes'], 26],
  [['routes', 0, 'prefix'], 27],
  [['routes', 1], 28],
  [['routes', 1, 'prefix'], 29],
  [['routes', 1, 'more', 'deep'], 31],
  [['routes', 1, 'more', 'list', 0, 'two'], 34],
  [['routes', 2, 'prefix'], 36],
])('%j stands on line %i', (path, line) => {
  expect(new TomlDocument(document, { env: {}, file: '/edge.toml' }).lineOf(path)).toBe(line)
})

test('for what is not there, the line of what would hold it', () => {
  const lines = new TomlDocument(document, { env: {}, file: '/edge.toml' })
  expect(lines.lineOf(['routes', 1, 'upstreams'])).toBe(28)
  expect(lines.lineOf(['metrics', 'listen'])).toBe(1)
})
