import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { brotliCompressSync, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { type ServiceProcess, startReplica } from '@ipfleet/testing/service-process.ts'
import { type HereEnd, runHere } from './run-here.ts'
import { zipFile } from '@ipfleet/testing/zip-file.ts'
import { CommandGround, linesIn } from '@ipfleet/testing/command-ground.ts'

/** The command on files as people have them, against a fleet that answers from its embedded databases. */

let folder: CommandGround
let replica: ServiceProcess
beforeAll(async () => {
  folder = await CommandGround.start()
  replica = await startReplica()
})
afterAll(async () => {
  await replica.stop()
  await folder[Symbol.asyncDispose]()
})

const run = (args: readonly string[], stdin: string | Buffer = '', command = 'bulk'): Promise<HereEnd> =>
  runHere([command, ...args, '--url', replica.url], { folder: folder.path('.'), stdin })

const utf16 = (content: string): Buffer => Buffer.from(`\ufeff${content}`, 'utf16le')
const latin1 = (content: string): Buffer => Buffer.from(content, 'latin1')
const zeek =
  '#separator \\x09\n#set_separator\t,\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\n#types\ttime\tstring\taddr\tport\n' +
  '1.5\tC1\t8.8.8.8\t53\n#close\t2025-01-01-00-00-00\n'
const cloudFront = '#Version: 1.0\n#Fields: date x-edge-location sc-bytes c-ip\n2025-01-01\tFRA\t5\t8.8.8.8\n'
const excelTable = 'Date,IP Address,User,Bytes\n2025-01-01,8.8.8.8,"Doe, J",5\n'

const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/${name}`, import.meta.url))
const list = 'ip,n\n8.8.8.8,1\n'

const base64 = (...parts: readonly string[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')))
/** `ip,n`, `8.8.8.8,1`, and a further row, by bzip2 and by xz 5.4. */
const bzip2 = [
  'QlpoOTFBWSZTWTzoYHoAAAZZgAAQAAUgQAAhQAAgADEMCCNBtIc5aYisni7kinChIHnQwPQ=',
  'QlpoOTFBWSZTWSuo/w4AAATYAAAQAAUQICAAMM0AwaYSwzi7kinChIFdR/hw',
] as const
const xz = [
  '/Td6WFoAAAFpIt42AgAhARYAAAB0L+WjAQAOaXAsbgo4LjguOC44LDEKAACF891PAAEjD9vfkA6QQpkNAQAAAAABWVo=',
  '/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAJOS45LjkuOSwyCgAAAB8sl11u1qdUAAEiChUa4WcftvN9AQAAAAAEWVo=',
] as const
const longLines = `${'x'.repeat(59)}\n`.repeat(100_000)
/** The same, by bzip2. */
const bzip2Bomb = 'QlpoOTFBWSZTWcNQPs8Ek9/IgAAQAIAAQCAAUGYClNOBJQWASUFgSUF4u5IpwoSGGoH2eA=='
/** With a checksum that xz-decompress does not know. */
const xzOfSha256 =
  '/Td6WFoAAArh+wyhAgAhARYAAAB0L+WjAQAOaXAsbgo4LjguOC44LDEKAABUKQwYaEfJipnNp6Vgrp4NSTKjT91Hejzzowkq4QTofwABPw+GgufoGJtLmgEAAAAAClla'

/** RFC 8878 §3.1.1: `list` in one raw block, which needs a window of 2^`windowLog` bytes. */
const zstdFrame = (windowLog: number): Buffer =>
  Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3, (list.length << 3) | 1, 0, 0]),
    Buffer.from(list),
  ])

/** Files as tools write them, and the table that comes of them with `--fields country --format csv`. */
const tables: readonly (readonly [
  name: string,
  content: string | Buffer,
  rows: readonly string[],
  args?: readonly string[],
])[] = [
  ['visits.csv', excelTable, ['Date,IP Address,User,Bytes,country,error', '2025-01-01,8.8.8.8,"Doe, J",5,US,']],
  ['pandas.tsv', '\tip\tn\n0\t8.8.8.8\t5\n', ['column_1,ip,n,country,error', '0,8.8.8.8,5,US,']],
  ['excel.csv', 'sep=;\r\nip;name\r\n8.8.8.8;x\r\n', ['ip,name,country,error', '8.8.8.8,x,US,']],
  ['excel.txt', utf16('IP\tName\r\n8.8.8.8\tSão\r\n'), ['IP,Name,country,error', '8.8.8.8,São,US,']],
  ['bom.csv', '\ufeffip,n\n8.8.8.8,1\n', ['ip,n,country,error', '8.8.8.8,1,US,']],
  [
    'title.csv',
    'Visits of May\n\nip,n\n8.8.8.8,1\n8.8.4.4,2\n',
    ['ip,n,country,error', '8.8.8.8,1,US,', '8.8.4.4,2,US,'],
  ],
  ['comments.csv', '# by x\nip,n\n8.8.8.8,1\n', ['ip,n,country,error', '8.8.8.8,1,US,']],
  ['bars.psv', 'n|ip\n1|8.8.8.8\n', ['n,ip,country,error', '1,8.8.8.8,US,']],
  ['conn.log', zeek, ['ts,uid,id.orig_h,id.orig_p,country,error', '1.5,C1,8.8.8.8,53,US,']],
  [
    'E1.2025-01-01-00.gz',
    gzipSync(cloudFront),
    ['date,x-edge-location,sc-bytes,c-ip,country,error', '2025-01-01,FRA,5,8.8.8.8,US,'],
  ],
  ['packed.csv.zst', zstdCompressSync('ip,n\n8.8.8.8,1\n'), ['ip,n,country,error', '8.8.8.8,1,US,']],
  ['packed.csv.br', brotliCompressSync('ip,n\n8.8.8.8,1\n'), ['ip,n,country,error', '8.8.8.8,1,US,']],
  ['packed.csv.bz2', base64(bzip2[0]), ['ip,n,country,error', '8.8.8.8,1,US,']],
  ['packed.csv.xz', base64(xz[0]), ['ip,n,country,error', '8.8.8.8,1,US,']],
  [
    'by-hand.csv',
    'ip, name\n8.8.8.8, "x, ""y"""\n9.9.9.9,  z\n',
    ['ip,name,country,error', '8.8.8.8,"x, ""y""",US,', '9.9.9.9,z,US,'],
  ],
  [
    // Columns that the results have too, one name twice, and a row that is too short.
    'clash.csv',
    'ip,country,error,error,ip_error\n8.8.8.8,x,e1,e2,e3\nnone,y\n127.0.0.1,z,,,\n',
    [
      'ip,country,error,error_2,ip_error,ip_country,ip_error',
      '8.8.8.8,x,e1,e2,e3,US,',
      'none,y,,,,,Wrong ip',
      '127.0.0.1,z,,,,,Bogon',
    ],
  ],
  // What ClickHouse writes as JSONColumns and JSONCompactEachRow: columns as arrays, and rows as arrays.
  ['columns.json', '{"ip":["8.8.8.8","9.9.9.9"],"n":[1,2]}', ['ip,n,country,error', '8.8.8.8,1,US,', '9.9.9.9,2,US,']],
  [
    'compact.ndjson',
    '["8.8.8.8",1]\n["9.9.9.9",2]\n',
    ['column_1,column_2,country,error', '8.8.8.8,1,US,', '9.9.9.9,2,US,'],
  ],
  ['spark.csv', 'ip,n\n8.8.8.8,"say \\"hi\\", he"\n', ['ip,n,country,error', '8.8.8.8,"say ""hi"", he",US,']],
  [
    // abuse.ch: the header is a comment, and the last line is one.
    'threatfox.csv',
    '# ThreatFox\n# "first_seen","ioc_value"," port"\n"2025", "8.8.8.8:80", "80"\n# Number of entries: 1\n',
    ['first_seen,ioc_value,port,country,error', '2025,8.8.8.8:80,80,US,'],
  ],
  [
    'decimals.csv',
    '8.8.8.8;1,5;2,5\n9.9.9.9;1,5;2,5\n',
    ['column_1,column_2,column_3,country,error', '8.8.8.8,"1,5","2,5",US,', '9.9.9.9,"1,5","2,5",US,'],
  ],
  [
    'wireshark.csv',
    '"No.","Destination","Origin","Peer"\n"1","192.168.1.2","10.0.0.1","8.8.8.8"\n"2","192.168.1.2","10.0.0.1","Broadcast"\n',
    [
      'No.,Destination,Origin,Peer,country,error',
      '1,192.168.1.2,10.0.0.1,8.8.8.8,US,',
      '2,192.168.1.2,10.0.0.1,Broadcast,,Wrong ip',
    ],
  ],
  ['in.sql', "'8.8.8.8',\n'9.9.9.9'\n", ['input,country,error', `"'8.8.8.8',",US,`, `'9.9.9.9',US,`]],
  ['long.csv.zst', zstdFrame(27), ['ip,n,country,error', '8.8.8.8,1,US,']],
  [
    'of-pzstd.zst',
    Buffer.concat([Buffer.from('502a4d180400000018000000', 'hex'), zstdCompressSync('ip,n\n8.8.8.8,1\n')]),
    ['ip,n,country,error', '8.8.8.8,1,US,'],
  ],
  ['two.bz2', base64(...bzip2), ['ip,n,country,error', '8.8.8.8,1,US,', '9.9.9.9,2,US,']],
  ['two.xz', base64(...xz), ['ip,n,country,error', '8.8.8.8,1,US,', '9.9.9.9,2,US,']],
  ['list.zip', zipFile([{ name: 'list.csv', content: list }]), ['ip,n,country,error', '8.8.8.8,1,US,']],
  [
    'of-a-mac.zip',
    zipFile([
      { name: 'visits/', content: '' },
      { name: 'visits/conn.log', content: zeek },
      { name: '__MACOSX/visits/._conn.log', content: 'x' },
      { name: 'visits/.DS_Store', content: 'x' },
      { name: 'Thumbs.db', content: 'x' },
    ]),
    ['ts,uid,id.orig_h,id.orig_p,country,error', '1.5,C1,8.8.8.8,53,US,'],
  ],
  [
    // DuckDB 2.0.1, packed by Zstandard.
    'duckdb.parquet',
    fixture('duckdb.parquet'),
    [
      'client_ip,n,t,d,zip,price,l,s,ok,nul,tz,country,error',
      '8.8.8.8,12,2025-01-02T03:04:05.123456,2025-01-01,02139,1.50,"[1,2]","{""a"":1}",true,,2025-01-01T00:00:00.000000Z,US,',
      '9.9.9.9,9007199254740993,1969-12-31T23:59:59.999999,1969-12-31,NA,2.25,[],"{""a"":null}",false,x,,US,',
    ],
  ],
  [
    // DuckDB 2.0.1: of 64 and 128 bits.
    'decimals.parquet',
    fixture('decimals.parquet'),
    [
      'ip,d,wide,long,country,error',
      '8.8.8.8,1.50,1234567890123456789012.34,12345678901234567.8,US,',
      '9.9.9.9,-0.05,-0.01,,US,',
    ],
  ],
  [
    // pyarrow 26, packed by gzip. The name says nothing.
    'pyarrow.dat',
    fixture('pyarrow.parquet'),
    ['id,Src IP,w,country,error', '1,8.8.8.8,2025-01-01T00:00:00.000000000,US,', '2,9.9.9.9,,US,'],
    ['--column', 'src ip'],
  ],
  [
    'iis.log',
    '#Software: IIS\n#Fields: date s-ip c-ip cs(User-Agent)\n2025-01-01 10.0.0.5 8.8.8.8 Mozilla/5.0+(X;+Y,+"Z")\n',
    ['date,s-ip,c-ip,cs(User-Agent),country,error', '2025-01-01,10.0.0.5,8.8.8.8,"Mozilla/5.0+(X;+Y,+""Z"")",US,'],
  ],
  [
    'vpc-flow.log.gz',
    gzipSync('version srcaddr dstaddr action\n2 8.8.8.8 10.0.0.1 ACCEPT\n2 8.8.4.4 10.0.0.1 REJECT\n'),
    ['version,srcaddr,dstaddr,action,country,error', '2,8.8.8.8,10.0.0.1,ACCEPT,US,', '2,8.8.4.4,10.0.0.1,REJECT,US,'],
  ],
  ['excel-in-german.csv', latin1('IP;Größe\r\n8.8.8.8;1,5\r\n'), ['IP,Größe,country,error', '8.8.8.8,"1,5",US,']],
  ['of-a-mac.txt', '8.8.8.8\r8.8.4.4\r', ['input,country,error', '8.8.8.8,US,', '8.8.4.4,US,']],
  ['bcp.csv', Buffer.from('ip,n\r\n8.8.8.8,1\r\n', 'utf16le'), ['ip,n,country,error', '8.8.8.8,1,US,']],
  [
    'geofeed.csv',
    '# RFC 8805\n8.8.8.8/32,US,US-CA,Mountain View,\n',
    ['column_1,column_2,column_3,column_4,column_5,country,error', '8.8.8.8/32,US,US-CA,Mountain View,,US,'],
  ],
  [
    'ports.csv',
    '8.8.8.8:53,1\n8.8.4.4:53,2\n',
    ['column_1,column_2,country,error', '8.8.8.8:53,1,US,', '8.8.4.4:53,2,US,'],
  ],
  [
    'drop.txt',
    '; Spamhaus\n8.8.8.8/32 ; SBL1\n8.8.4.4/32 ; SBL2\n',
    ['column_1,column_2,country,error', '8.8.8.8/32 , SBL1,US,', '8.8.4.4/32 , SBL2,US,'],
  ],
  [
    'xff.csv',
    'n,x_forwarded_for\n1,"8.8.8.8, 10.0.0.1"\n',
    ['n,x_forwarded_for,country,error', '1,"8.8.8.8, 10.0.0.1",US,'],
  ],
  [
    'eve.json',
    '{"event_type":"dns","dest_ip":"10.0.0.1","src_ip":"8.8.8.8"}\n{"event_type":"dns","dest_ip":"10.0.0.1","src_ip":"8.8.4.4"}\n',
    ['event_type,dest_ip,src_ip,country,error', 'dns,10.0.0.1,8.8.8.8,US,', 'dns,10.0.0.1,8.8.4.4,US,'],
  ],
  [
    'ecs.ndjson',
    '{"destination":{"ip":"10.0.0.1"},"source":{"geo":{},"ip":"8.8.8.8"}}\n{"source":{"ip":"8.8.4.4"}}\n',
    [
      'destination,source,country,error',
      '"{""ip"":""10.0.0.1""}","{""geo"":{},""ip"":""8.8.8.8""}",US,',
      ',"{""ip"":""8.8.4.4""}",US,',
    ],
  ],
  [
    'cloudtrail.json',
    '{"Records":[{"sourceIPAddress":"8.8.8.8","n":1}]}',
    ['sourceIPAddress,n,country,error', '8.8.8.8,1,US,'],
  ],
  [
    'elasticsearch.json',
    '{"took":1,"hits":{"total":{"value":1},"hits":[{"_id":"1","_source":{"source":{"ip":"8.8.8.8"}}}]}}',
    ['_id,_source,country,error', '1,"{""source"":{""ip"":""8.8.8.8""}}",US,'],
  ],
  [
    'of-jq.json',
    '{\n  "ip": "8.8.8.8"\n}\n{\n  "ip": "8.8.4.4",\n  "s": "}\\"{"\n}\n',
    ['ip,s,country,error', '8.8.8.8,,US,', '8.8.4.4,"}""{",US,'],
  ],
  [
    'rfc7464.json',
    '\u001e{"ip":"8.8.8.8"}\n\u001e{"ip":"8.8.4.4"}\n',
    ['ip,country,error', '8.8.8.8,US,', '8.8.4.4,US,'],
  ],
  // pandas 3: to_json() by its default, and by orient="index", "split" and "values".
  ...[
    '{"ip":{"0":"8.8.8.8"},"n":{"0":5}}',
    '{"0":{"ip":"8.8.8.8","n":5}}',
    '{"columns":["ip","n"],"index":[0],"data":[["8.8.8.8",5]]}',
  ].map((text, at) => [`pandas-${at}.json`, text, ['ip,n,country,error', '8.8.8.8,5,US,']] as const),
  ['pandas-values.json', '[["8.8.8.8",5]]', ['column_1,column_2,country,error', '8.8.8.8,5,US,']],
  [
    'audit.ndjson',
    '{"verb":"get","sourceIPs":["8.8.8.8","8.8.4.4"]}\n{"verb":"put","sourceIPs":["8.8.8.8"]}\n',
    [
      'verb,sourceIPs,country,error',
      'get,"[""8.8.8.8"",""8.8.4.4""]",US,',
      'get,"[""8.8.8.8"",""8.8.4.4""]",US,',
      'put,"[""8.8.8.8""]",US,',
    ],
  ],
  [
    'rare.log',
    `${'Jan 1 CRON: session opened\n'.repeat(30)}Jan 1 sshd: Failed password from 8.8.8.8 port 4242\n`,
    expect.arrayContaining(['Jan 1 sshd: Failed password from 8.8.8.8 port 4242,US,']) as never,
  ],
  ['mlr.tsv', 'ip\tcity\n8.8.8.8\tSão, "P"\n', ['ip,city,country,error', '8.8.8.8,"São, ""P""",US,']],
  [
    'agents.tsv',
    'ip\tua\n8.8.8.8\t"x\n9.9.9.9\t"y\n',
    ['ip,ua,country,error', '8.8.8.8,"""x",US,', '9.9.9.9,"""y",US,'],
  ],
  [
    'report-of-excel.csv',
    'Visits,,\r\n,,\r\nDate,IP,n\r\n5,8.8.8.8,1\r\n',
    ['Date,IP,n,country,error', '5,8.8.8.8,1,US,'],
  ],
  [
    'families.json',
    '{"token":"1","prefixes":[{"ip_prefix":"8.8.8.8/32"}],"ipv6_prefixes":[{"ipv6_prefix":"2620:fe::fe/128"}]}',
    ['ip_prefix,ipv6_prefix,country,error', '8.8.8.8/32,,US,', ',2620:fe::fe/128,US,'],
  ],
  [
    'uses.json',
    '{"hooks":["8.8.8.8"],"web":["9.9.9.9"],"domains":{"x":["*.example.com"]}}',
    ['input,country,error', '8.8.8.8,US,', '9.9.9.9,US,'],
  ],
  [
    'copied.csv',
    'ip,n\n\u200b8.8.8.8\u00a0,1\n"=""9.9.9.9""",2\n',
    ['ip,n,country,error', '\u200b8.8.8.8\u00a0,1,US,', '"=""9.9.9.9""",2,US,'],
  ],
  [
    'messages.csv',
    'at,message\n5,"from 8.8.8.8, 9.9.9.9"\n',
    ['at,message,country,error', '5,"from 8.8.8.8, 9.9.9.9",US,', '5,"from 8.8.8.8, 9.9.9.9",US,'],
    ['--extract', 'all'],
  ],
  ['server.csv', 'server,ip_address\n10.0.0.1,8.8.8.8\n', ['server,ip_address,country,error', '10.0.0.1,8.8.8.8,US,']],
  ['noname.csv', '1,8.8.8.8\n2,8.8.4.4\n', ['column_1,column_2,country,error', '1,8.8.8.8,US,', '2,8.8.4.4,US,']],
  ['clash.csv', 'ip,country,error\n8.8.8.8,mine,no\n', ['ip,country,error,ip_country,ip_error', '8.8.8.8,mine,no,US,']],
  ['prefix.csv', 'ip,n\n8.8.8.8,1\n', ['ip,n,geo_country,error', '8.8.8.8,1,US,'], ['--prefix', 'geo_']],
  [
    'port.csv',
    'ip,n\n8.8.8.8:53,1\n[2620:fe::fe]:443,2\n8[.]8[.]4[.]4,3\n',
    ['ip,n,country,error', '8.8.8.8:53,1,US,', '[2620:fe::fe]:443,2,US,', '8[.]8[.]4[.]4,3,US,'],
  ],
  ['bogon.csv', 'ip\n10.0.0.1\n8.8.8.8\n', ['ip,country,error', '10.0.0.1,,Bogon', '8.8.8.8,US,']],
  ['events.ndjson', '{"ClientIP":"8.8.8.8","n":{"a":1}}\n', ['ClientIP,n,country,error', '8.8.8.8,"{""a"":1}",US,']],
  [
    'ids.ndjson',
    '{"ip":"8.8.8.8","id":12345678901234567890}\n',
    ['ip,id,country,error', '8.8.8.8,12345678901234567890,US,'],
  ],
  [
    'ids.json',
    '[{"ip":"8.8.8.8","id":12345678901234567890}]',
    ['ip,id,country,error', '8.8.8.8,12345678901234567890,US,'],
  ],
  ['events.json', '[{"ip":"8.8.8.8","n":"0123"}]', ['ip,n,country,error', '8.8.8.8,0123,US,']],
  [
    'nested.log',
    '{"client":{"ip":"8.8.8.8"},"server":"10.0.0.1"}\n',
    ['client,server,country,error', '"{""ip"":""8.8.8.8""}",10.0.0.1,US,'],
    ['--column', 'client.ip'],
  ],
  [
    'notes.txt',
    '# ours\n8.8.8.8 # Google\n[2620:fe::fe]:443\n',
    ['input,country,error', '8.8.8.8 # Google,US,', '[2620:fe::fe]:443,US,'],
  ],
  [
    'networks.txt',
    '8.8.8.8/31\n8.8.4.4-8.8.4.5\n',
    ['input,country,error', '8.8.8.8/31,US,', '8.8.8.8/31,US,', '8.8.4.4-8.8.4.5,US,', '8.8.4.4-8.8.4.5,US,'],
  ],
  ['large.txt', '8.0.0.0/8\n', ['input,country,error', '8.0.0.0/8,US,'], ['--networks', 'first']],
  [
    'access.log',
    '8.8.8.8 - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 1\n',
    ['input,country,error', expect.stringMatching(/^"8\.8\.8\.8 - -.*",US,$/) as never],
  ],
  [
    'hops.txt',
    '"8.8.8.8, 10.0.0.1"\n',
    ['input,country,error', '"""8.8.8.8, 10.0.0.1""",US,', '"""8.8.8.8, 10.0.0.1""",,Bogon'],
    ['--extract', 'all'],
  ],
]

test.each(tables)('%s keeps what it has, with what is known beside it', async (name, content, rows, args = []) => {
  await folder.write(name, content)
  const { code, stdout, stderr } = await run([name, '--fields', 'country', '--format', 'csv', ...args])
  expect([code, linesIn(stdout)]).toEqual([0, rows])
  expect(stderr).not.toContain('Wrong ip')
})

test.each([
  ['late.csv', `ip,a\n${'8.8.8.8,1\n'.repeat(300)}8.8.8.8,2,c\n`, 'column_3'],
  ['late.ndjson', `${'{"ip":"8.8.8.8"}\n'.repeat(300)}{"ip":"8.8.8.8","late":1}\n`, 'late'],
])('%s: a column that only a later row has is told, where a table leaves it out', async (name, content, column) => {
  await folder.write(name, content)
  const table = await run([name, '--fields', 'country', '--format', 'csv'])
  expect(table.stderr).toContain(`only later rows have ${column}: left out (--format ndjson keeps all)`)
  expect((await run([name, '--fields', 'country'])).stderr).not.toContain('left out')
})

test('what is read is said: the column, and which others hold addresses', async () => {
  await folder.write('two.csv', 'server,ip_address,n\n10.0.0.1,8.8.8.8,1\n')
  expect((await run(['two.csv'])).stderr).toContain('in the column ip_address; server hold addresses too (--column)')
  await folder.write('said.ndjson', '{"ClientIP":"8.8.8.8"}\n')
  expect((await run(['said.ndjson'])).stderr).toContain('in the member ClientIP')
  expect((await run(['-'], 'GET from 8.8.8.8\n')).stderr).toContain('--extract all')
})

test('a column is kept whatever its name', async () => {
  await folder.write('proto.csv', '__proto__,ip,constructor\na,8.8.8.8,b\n')
  const { stdout } = await run(['proto.csv', '--fields', 'country'])
  expect(stdout).toBe('{"input":"8.8.8.8","__proto__":"a","ip":"8.8.8.8","constructor":"b","country":"US"}\n')
})

test('Windows-1252 is known by its first letter beyond ASCII, wherever that is', async () => {
  await folder.write('late.csv', latin1(`ip;city\r\n${'9.9.9.9;Berlin\r\n'.repeat(6000)}8.8.8.8;K\u00f6ln\r\n`))
  const { code, stdout } = await run(['late.csv', '--fields', 'country', '--format', 'csv'])
  expect([code, linesIn(stdout).at(-1)]).toEqual([0, '8.8.8.8,K\u00f6ln,US,'])
})

test.each([
  ['a piece', `ip,nnn\n${'8.8.8.8,1\n'.repeat(6552)}8.8.8.8,`, 'é\n'],
  ['the list', 'ip,n\n8.8.8.8,', 'é'],
])('Windows-1252 is known by a letter at the end of %s', async (_, before, end) => {
  await folder.write('end.csv', latin1(`${before}${end}`))
  const { stdout } = await run(['end.csv', '--fields', 'country', '--format', 'csv'])
  expect(linesIn(stdout).at(-1)).toBe('8.8.8.8,é,US,')
})

test('NDJSON keeps members, through a pipe too; the record follows them', async () => {
  const { stdout } = await run(['-', '--fields', 'country'], '{"ip":"8.8.8.8","tags":["a"],"country":1}\n')
  expect(JSON.parse(stdout)).toEqual({ input: '8.8.8.8', ip: '8.8.8.8', tags: ['a'], country: 1, ip_country: 'US' })
})

describe('nothing is asked, and it ends with an error, when', () => {
  test.each<
    readonly [
      what: string,
      name: string,
      content: string | Buffer,
      code: number,
      told: RegExp,
      args?: readonly string[],
    ]
  >([
    [
      'nothing is an address',
      'words.txt',
      'a\nb\n',
      1,
      /words\.txt: nothing in it is an address\. 2 rows.*"a".*--extract/,
    ],
    [
      'no cell is an address',
      'words.csv',
      'name,n\na,1\n',
      1,
      /words\.csv: No column holds an address.*"name", "n".*--column/,
    ],
    ['no member is an address', 'words.ndjson', '{"a":"b"}\n', 1, /nothing in it is an address/],
    ['JSON is cut short', 'x.json', '{"data":[{"ip":"8.8.8.8"}', 1, /x\.json: The JSON is broken: it ends inside/],
    [
      'text is between JSON',
      'x.json',
      '{\n"ip":"8.8.8.8"\n}\noops\n{\n"ip":"1.1.1.1"\n}',
      1,
      /x\.json: The JSON is broken: "oops/,
    ],
    ['JSON is broken', 'x.json', '{"data":[{"ip":"8.8.8.8"},]}', 1, /x\.json: The JSON is broken/],
    ['it is empty', 'empty.txt', '', 1, /empty\.txt: nothing in it is an address; it is empty/],
    ['a column is not there', 'x.csv', 'ip,n\n8.8.8.8,1\n', 1, /no column "nope".*"ip", "n"/, ['--column', 'nope']],
    [
      'a member is not there',
      'x.ndjson',
      '{"a":{"ip":"8.8.8.8"}}\n',
      2,
      /no member nope.*a, a\.ip/,
      ['--column', 'nope'],
    ],
    ['a network is too large', 'x.txt', '9.0.0.0/8\n8.8.8.8\n', 2, /9\.0\.0\.0\/8 has 16777216.*--networks first/],
    [
      'it is a workbook',
      'x.xlsx',
      zipFile([
        { name: '[Content_Types].xml', content: 'x' },
        { name: 'xl/workbook.xml', content: 'x' },
      ]),
      2,
      /x\.xlsx is an Excel workbook.*save it as CSV/,
    ],
    [
      'Parquet is cut short',
      'x.parquet',
      fixture('duckdb.parquet').subarray(0, 900),
      1,
      /x\.parquet is Parquet.*broken/,
    ],
    ['Parquet is packed by LZ4', 'x.parquet', fixture('lz4.parquet'), 2, /x\.parquet is packed by LZ4.*duckdb -c/],
    [
      'a column of Parquet is not there',
      'x.parquet',
      fixture('duckdb.parquet'),
      2,
      /no column nope.*client_ip/,
      ['--column', 'nope'],
    ],
    [
      'Parquet is packed',
      'x.gz',
      gzipSync(fixture('duckdb.parquet')),
      2,
      /x\.gz is Parquet in a pipe.*file of its own/,
    ],
    [
      'a ZIP is cut short',
      'x.zip',
      zipFile([{ name: 'l.csv', content: list }]).subarray(0, 60),
      1,
      /x\.zip is a ZIP.*broken/,
    ],
    ['a ZIP is empty', 'x.zip', zipFile([]), 2, /x\.zip holds no file/],
    [
      'a ZIP holds several',
      'x.zip',
      zipFile(['a', 'b', 'c', 'd'].map((name) => ({ name: `${name}.csv`, content: list }))),
      2,
      /x\.zip holds 4 files \(a\.csv, b\.csv, c\.csv, …\).*unzip -p x\.zip a\.csv/,
    ],
    [
      'a ZIP holds more than are searched',
      'x.zip',
      zipFile(Array.from({ length: 101 }, (_, at) => ({ name: `__MACOSX/${at}`, content: '' }))),
      2,
      /x\.zip holds 101 files/,
    ],
    [
      'a ZIP is encrypted',
      'x.zip',
      zipFile([{ name: 'l.csv', content: list, flags: 1 }]),
      2,
      /l\.csv in x\.zip is encrypted/,
    ],
    [
      'a ZIP is of another method',
      'x.zip',
      zipFile([{ name: 'l.csv', content: list, method: 9 }]),
      2,
      /packed by method 9/,
    ],
    [
      'a checksum is another',
      'x.zip',
      zipFile([{ name: 'l.csv', content: list, checksum: 1 }]),
      1,
      /l\.csv in it is broken/,
    ],
    [
      'a ZIP inflates too far',
      'x.zip',
      zipFile([{ name: 'l.csv', content: Buffer.alloc(5 * 1024 * 1024, '8') }]),
      2,
      /over 200 times its size/,
    ],
    ...(
      [
        ['x.zip', zipFile([{ name: 'l.csv', content: list }]), /is a ZIP archive/],
        ['l.csv.gz', gzipSync(list), /is packed by gzip again/],
        ['l.csv.bz2', base64(bzip2[0]), /is packed by bzip2 again/],
        ['l.csv.xz', base64(xz[0]), /is packed by xz again/],
        ['l.csv.zst', zstdCompressSync(list), /is packed by Zstandard again/],
        ['l.parquet', fixture('duckdb.parquet'), /l\.parquet in outer\.zip is Parquet/],
        ['l.tar', Buffer.concat([Buffer.alloc(257, 'x'), Buffer.from('ustar')]), /is a tar archive.*tar -xOf/],
      ] as const
    ).map(
      ([name, content, told]) => [`a ZIP holds ${name}`, 'outer.zip', zipFile([{ name, content }]), 2, told] as const,
    ),
    [
      'bzip2 is cut short',
      'x.bz2',
      base64(bzip2[0]).subarray(0, 40),
      1,
      /x\.bz2: The bzip2 body is broken or cut short/,
    ],
    ['xz is cut short', 'x.xz', base64(xz[0]).subarray(0, 40), 1, /x\.xz: The xz body is broken or cut short/],
    ['something follows bzip2', 'x.bz2', base64(...bzip2, 'AAAA'), 1, /x\.bz2: The bzip2 body is broken/],
    ['something follows xz', 'x.xz', base64(xz[0], 'eHh4'), 1, /x\.xz: The xz body is broken/],
    ['bzip2 inflates too far', 'x.bz2', base64(bzip2Bomb), 1, /x\.bz2: It inflates to over 200 times.*unpack it first/],
    ['gzip inflates too far', 'x.gz', gzipSync(longLines), 1, /x\.gz: It inflates to over 200 times/],
    [
      'xz has another checksum',
      'x.xz',
      base64(xzOfSha256),
      1,
      /x\.xz: It is packed by xz in a way that is not read.*xz -dc/,
    ],
    ['it is no text', 'x.bin', Buffer.from([1, 2, 3, 4, 5]), 2, /x\.bin is no text.*convert it to CSV/],
    [
      'zstd needs a larger window',
      'x.zst',
      zstdFrame(28),
      1,
      /x\.zst: The zstd body needs a window of over 134217728 bytes: pack it without --long/,
    ],
    ...(
      [
        [
          'x.ods',
          zipFile([
            { name: 'mimetype', content: 'x' },
            { name: 'content.xml', content: 'x' },
          ]),
          /LibreOffice.*save it as CSV/,
        ],
        ['x.lz4', Buffer.from('04224d18604082', 'hex'), /packed by LZ4.*lz4 -dc x\.lz4/],
        ['x.Z', Buffer.from('1f9d9069e0', 'hex'), /packed by compress.*zcat/],
        ['x.pcap', Buffer.from('d4c3b2a102000400', 'hex'), /network capture.*tshark -r x\.pcap/],
        ['x.pcapng', Buffer.from('0a0d0d0a', 'hex'), /network capture/],
        ['x.arrows', Buffer.from('ffffffff70000000', 'hex'), /Arrow stream.*Parquet/],
      ] as const
    ).map(([name, content, told]) => [`it is ${name}`, name, content, 2, told] as const),
  ])('%s', async (_, name, content, code, told, args = []) => {
    await folder.write(name, content)
    const end = await run([name, ...args])
    expect([end.code, end.stdout]).toEqual([code, ''])
    expect(end.stderr).toMatch(told)
  })
})

const read = async (name: string): Promise<string> => {
  const content = await readFile(folder.path(name))
  return (name.endsWith('.gz') ? gunzipSync(content) : content).toString()
}

describe('the name of the output says its form:', () => {
  test.each([
    ['out.tsv', 'ip\tn\tcountry\terror\n8.8.8.8\t1\tUS\t\n'],
    ['out.csv.gz', 'ip,n,country,error\n8.8.8.8,1,US,\n'],
    ['out.jsonl', '{"input":"8.8.8.8","ip":"8.8.8.8","n":"1","country":"US"}\n'],
    ['out.json', '[\n{"input":"8.8.8.8","ip":"8.8.8.8","n":"1","country":"US"}\n]\n'],
  ])('%s', async (name, expected) => {
    await folder.write('in.csv', 'ip,n\n8.8.8.8,1\n')
    expect(await run(['in.csv', '--fields', 'country', '-o', name])).toMatchObject({ code: 0, stdout: '' })
    expect(await read(name)).toBe(expected)
    expect((await run(['in.csv', '-o', name])).stderr).toContain('--force overwrites it')
  })

  test.each(['out.arrow', 'out.xlsx', 'out.csv.zst', 'out.zip', 'out.db'])(
    '%s is refused, and how to come to it',
    async (name) => {
      const { code, stderr } = await run(['-', '-o', name], '8.8.8.8\n')
      expect([code, stderr]).toEqual([
        2,
        expect.stringMatching(/^bulk: -o: \.\w+ is .*; formats are ndjson, csv, tsv, json, parquet/),
      ])
    },
  )
})

const columnsOf = async (name: string): Promise<readonly string[]> => {
  const metadata = await parquetMetadataAsync(await asyncBufferFromFile(folder.path(name)))
  return metadata.schema
    .slice(1)
    .map(({ name: column, type = '', converted_type, logical_type }) =>
      [column, converted_type ?? logical_type?.type ?? type].join(' '),
    )
}
const rowsOf = async (name: string): Promise<readonly object[]> =>
  parquetReadObjects({ file: await asyncBufferFromFile(folder.path(name)) })
const rowsWithout = (text: string, { stdout }: HereEnd): readonly string[] =>
  linesIn(stdout)
    .slice(1)
    .map((line) => line.replace(text, ''))
const hasDuckDb = spawnSync('python3', ['-c', 'import duckdb']).status === 0
if (!hasDuckDb) process.stdout.write('DuckDB does not read Parquet back: python3 has no module duckdb\n')
const withDuckDb = hasDuckDb ? test : test.skip

describe('-o out.parquet', () => {
  test('of a table: its cells as texts, and what is known; what is not is null', async () => {
    await folder.write('in.csv', 'ip,zip\n8.8.8.8,02139\n10.0.0.1,NA\nx,\n')
    expect(await run(['in.csv', '--fields', 'country,bogon', '-o', 'out.parquet'])).toMatchObject({
      code: 0,
      stdout: '',
    })
    expect(await columnsOf('out.parquet')).toEqual([
      'ip UTF8',
      'zip UTF8',
      'country UTF8',
      'bogon BOOLEAN',
      'error UTF8',
    ])
    expect(await rowsOf('out.parquet')).toEqual([
      { ip: '8.8.8.8', zip: '02139', country: 'US', bogon: null, error: null },
      { ip: '10.0.0.1', zip: 'NA', country: null, bogon: true, error: 'Bogon' },
      { ip: 'x', zip: '', country: null, bogon: null, error: 'Wrong ip' },
    ])
    expect((await run(['in.csv', '-o', 'out.parquet'])).stderr).toContain('--force overwrites it')
    expect((await run(['in.csv', '-o', 'out.parquet', '--resume'])).stderr).toContain('cannot be gone on with')
  })

  test('of Parquet: columns keep their types and digits', async () => {
    await folder.write('duckdb.parquet', fixture('duckdb.parquet'))
    expect(await run(['duckdb.parquet', '--fields', 'country', '-o', 'typed.parquet'])).toMatchObject({ code: 0 })
    expect(await columnsOf('typed.parquet')).toEqual([
      'client_ip UTF8',
      'n INT_64',
      't TIMESTAMP_MICROS',
      'd DATE',
      'zip UTF8',
      'price UTF8',
      'l UTF8',
      's UTF8',
      'ok BOOLEAN',
      'nul UTF8',
      'tz TIMESTAMP_MICROS',
      'country UTF8',
      'error UTF8',
    ])
    const again = await run(['typed.parquet', '--fields', 'country', '--format', 'csv'])
    const first = await run(['duckdb.parquet', '--fields', 'country', '--format', 'csv'])
    expect(rowsWithout(',US,,US,', again)).toEqual(rowsWithout(',US,', first))
  })

  test('of lines, through a pipe', async () => {
    const words = ['bulk', '-', '--fields', 'country', '--format', 'parquet', '--url', replica.url]
    const options = { folder: folder.path('.'), stdin: '8.8.8.8\n', encoding: 'latin1' } as const
    const { code, stdout } = await runHere(words, options)
    await folder.write('pipe.parquet', Buffer.from(stdout, 'latin1'))
    expect([code, await rowsOf('pipe.parquet')]).toEqual([0, [{ input: '8.8.8.8', country: 'US', error: null }]])
  })

  withDuckDb('DuckDB reads it', async () => {
    await folder.write('duckdb.parquet', fixture('duckdb.parquet'))
    await run(['duckdb.parquet', '--fields', 'country', '-o', 'read.parquet', '--force'])
    const query =
      'import duckdb; print(duckdb.sql("select n, t::text, d::text, ok, country from \'read.parquet\' order by n").fetchall())'
    const { stdout } = spawnSync('python3', ['-c', query], { cwd: folder.path('.'), encoding: 'utf8' })
    // oxlint-disable-next-line jest/no-standalone-expect -- it is a test
    expect(stdout.trim()).toBe(
      "[(12, '2025-01-02 03:04:05.123456', '2025-01-01', True, 'US'), " +
        "(9007199254740993, '1969-12-31 23:59:59.999999', '1969-12-31', False, 'US')]",
    )
  })

  test('it is not packed once more', async () => {
    expect((await run(['-', '-o', 'out.parquet.gz'], '8.8.8.8\n')).stderr).toContain('packed by itself')
  })
})

test('-o /dev/stdout is standard output: a file that it leads to keeps what it has', async () => {
  await folder.write('in.csv', 'ip\n8.8.8.8\n')
  const words = ['in.csv', '--fields', 'country', '--format', 'csv', '-o', '/dev/stdout']
  expect((await run(words)).stdout).toBe('ip,country,error\n8.8.8.8,US,\n')
})

test('where the state of a run cannot be written beside its output, that is said', async () => {
  await mkdir(folder.path('blocked.csv.ipfleet.json.new'))
  const { code, stderr } = await run(['-', '-o', 'blocked.csv'], '8.8.8.8\n')
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(
      /blocked\.csv\.ipfleet\.json, which a stopped run is gone on from, cannot be written \(EISDIR\)/,
    ),
  ])
})

test('--for excel: UTF-8 is recognised, zeros stay, formulas are not run', async () => {
  await folder.write('cells.csv', 'ip,zip,note\n8.8.8.8,02139,=1+1\n8.8.4.4,NA,São\n')
  await run(['cells.csv', '--fields', 'country', '--for', 'excel', '-o', 'cells-out.csv'])
  expect((await readFile(folder.path('cells-out.csv'))).toString()).toBe(
    '\ufeff"ip","zip","note","country","error"\r\n"8.8.8.8","=""02139""","\'=1+1","US",\r\n"8.8.4.4","NA","São","US",\r\n',
  )
})

test('bogons are counted, and a field that no record had is told', async () => {
  const { code, stderr } = await run(['-', '--fields', 'country,city'], '10.0.0.1\n8.8.8.8\n')
  expect(code).toBe(0)
  expect(stderr).toMatch(/no record had city\n.*2 answered, \d+% of them cached, 1 bogon; 0 errors/)
})

describe('addresses of the command line', () => {
  test('of which none is one are told, without options that look-ups have not', async () => {
    const { code, stdout, stderr } = await run(['AS15169', 'example.com'], '', 'lookup')
    expect([code, stdout, stderr]).toEqual([1, '', 'ipfleet: AS15169, example.com: nothing of it is an address\n'])
  })

  test('have their results on standard output, and nothing else is said', async () => {
    const { code, stdout, stderr } = await run(['8.8.8.8', '9.9.9.8/31', '--fields', 'ip,country'], '', 'lookup')
    expect([code, stderr]).toEqual([0, ''])
    expect(linesIn(stdout).map((line) => JSON.parse(line) as object)).toMatchObject([
      { input: '8.8.8.8', ip: '8.8.8.8', country: 'US' },
      { ip: '9.9.9.8' },
      { ip: '9.9.9.9' },
    ])
  })
})

test('a list is summed up', async () => {
  const log = '8.8.8.8 - "GET /" 10.0.0.1\n8.8.8.8 - nothing\n9.9.9.9:53 x\n'
  const { code, stdout } = await run(['-', '--extract', 'all'], log, 'summarize')
  expect([code, JSON.parse(stdout)]).toMatchObject([
    0,
    { total: 4, unique: 3, bogon: 1, countries: { US: 3 }, asns: { 'AS15169 Google LLC': 2 } },
  ])
})
