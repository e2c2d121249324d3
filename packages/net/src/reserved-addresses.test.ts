import { expect, test } from '@jest/globals'
import { isReserved } from './reserved-addresses.ts'

const words = (text: string): string[] => text.split(' ')

test.each(
  words(
    '0.0.0.0 10.255.255.255 100.64.0.0 127.0.0.1 169.254.169.254 172.31.255.255 192.168.0.1 192.0.0.1 ' +
      '192.0.2.255 198.18.0.0 198.51.100.0 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 100::1 ' +
      'fc00::1 fdff::1 fe80::1 ff02::1 2001:db8::1 2002:a00:1:: 2002:7f00:1:: ::7f00:1',
  ),
)('%s is reserved', (address) => {
  expect(isReserved(address)).toBe(true)
})

test.each(
  words(
    '1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 172.15.255.255 ' +
      '172.32.0.0 192.167.255.255 198.20.0.0 223.255.255.255 2001:4860:4860::8888 2606:4700::1111 ' +
      '2002:808:808:: fbff::1',
  ),
)('%s is somebody’s', (address) => {
  expect(isReserved(address)).toBe(false)
})
