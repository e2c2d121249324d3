import { expect, test } from '@jest/globals'
import { csvPreamble } from './csv-preamble.ts'

test.each([
  ['a plain table', 'ip,name\n8.8.8.8,x\n', { delimiter: ',', bytes: 0 }],
  ['semicolons', 'ip;name\n8.8.8.8;"a,b,c"\n', { delimiter: ';', bytes: 0 }],
  ['tabs', 'ip\tname\n', { delimiter: '\t', bytes: 0 }],
  ['bars', 'ip|name\n', { delimiter: '|', bytes: 0 }],
  ['what Excel is told', 'sep=;\r\nip;name\r\n8.8.8.8;x\r\n', { delimiter: ';', bytes: 7 }],
  ['a title', 'Visits of May\n\nip,name\n8.8.8.8,x\n1.1.1.1,y\n', { delimiter: ',', bytes: 15 }],
  ['comments', '# made by x\n# on Monday\nip,name\n8.8.8.8,x\n', { delimiter: ',', bytes: 24 }],
  ['one column', 'ip\n8.8.8.8\n', { delimiter: ',', bytes: 0 }],
  [
    'Zeek',
    '#separator \\x09\n#fields\tts\tid.orig_h\n#types\ttime\taddr\n1.5\t8.8.8.8\n',
    { delimiter: '\t', bytes: 54, header: ['ts', 'id.orig_h'] },
  ],
  [
    'CloudFront',
    '#Version: 1.0\n#Fields: date c-ip\n2025-01-01\t8.8.8.8\n',
    { delimiter: '\t', bytes: 33, header: ['date', 'c-ip'] },
  ],
  [
    'IIS',
    '#Software: IIS\n#Fields: date c-ip cs(User-Agent)\n2025-01-01 8.8.8.8 Mozilla/5.0+(X;+Y)\n',
    { delimiter: ' ', bytes: 49, header: ['date', 'c-ip', 'cs(User-Agent)'] },
  ],
  ['a VPC flow log', 'version srcaddr dstaddr\n2 8.8.8.8 10.0.0.1\n', { delimiter: ' ', bytes: 0 }],
  ['words', 'my host\n8.8.8.8 here too\n', { delimiter: ',', bytes: 0 }],
  ['comments of Spamhaus', '; DROP list\n8.8.8.0/31 ; SBL1\n', { delimiter: ';', bytes: 12 }],
  ['an index without a name', ';ip;n\n0;8.8.8.8;1\n', { delimiter: ';', bytes: 0 }],
  ['blanks before quotes', 'ip, name\n8.8.8.8, "x, y"\n', { delimiter: ',', bytes: 0, skipsBlanks: true }],
  ['a blank and a quote in a cell', 'ip,name\n8.8.8.8,"x, ""y"""\n', { delimiter: ',', bytes: 0 }],
  ['decimal commas without a header', '8.8.8.8;1,5;2,5\n9.9.9.9;1,5;2,5\n', { delimiter: ';', bytes: 0 }],
  ['decimal commas with a header', 'ip;b\n8.8.8.8;1,5,5,5\n', { delimiter: ';', bytes: 0 }],
  [
    'a comment that names the columns',
    '# x\n# "first","ioc","n"\n"1", "8.8.8.8", "5"\n',
    { delimiter: ',', bytes: 6, skipsBlanks: true },
  ],
  ['a comment that names the addresses', '#ip\tasn\n8.8.8.8\t1\n', { delimiter: '\t', bytes: 1 }],
  ['numbered rows', '#,ip,n\n1,8.8.8.8,5\n', { delimiter: ',', bytes: 1 }],
  ['a comment with a comma', '# by x, y\n8.8.8.8,1\n', { delimiter: ',', bytes: 10 }],
  ['a row that is commented out', '# 9.9.9.9,1,2\n8.8.8.8,1,2\n', { delimiter: ',', bytes: 14 }],
  ['backslashes', 'ip,n\n8.8.8.8,"say \\"hi\\""\n', { delimiter: ',', bytes: 0, isBackslashed: true }],
  ['a backslash at the end of a cell', 'ip,n\n8.8.8.8,"C:\\"\n', { delimiter: ',', bytes: 0 }],
  [
    'a backslash and a blank in a cell',
    'ip,n\n8.8.8.8,"a 5\\" disk"\n',
    { delimiter: ',', bytes: 0, isBackslashed: true },
  ],
  ['a backslash at the end of a cell, and blanks', 'ip,n,m\n8.8.8.8,"C:\\"  ,1\n', { delimiter: ',', bytes: 0 }],
  ['a backslash at the end of a cell between blanks', 'ip n m\n8.8.8.8 "C:\\" 1\n', { delimiter: ' ', bytes: 0 }],
  [
    'backslashes between blanks',
    'ip n m\n8.8.8.8 "say\\"hi\\"" 1\n',
    { delimiter: ' ', bytes: 0, isBackslashed: true },
  ],
  ['nothing', '', { delimiter: ',', bytes: 0 }],
])('the form of a table is read from its first lines: %s', (_, text, expected) => {
  expect(csvPreamble(Buffer.from(text))).toEqual({
    header: undefined,
    hasComments: text.startsWith('#'),
    skipsBlanks: false,
    isBackslashed: false,
    ...expected,
  })
})
