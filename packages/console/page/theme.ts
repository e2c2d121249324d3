import { byId, setText } from './element.ts'
import { keep, recall } from './kept.ts'

const remembered = 'ipfleet-theme'

/** Light or dark as the system has it, until the button says otherwise. */
export function startTheme(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const root = document.documentElement
  const isDark = (): boolean => (root.dataset['theme'] ?? (dark.matches ? 'dark' : 'light')) === 'dark'
  const tell = (): void => setText(byId('theme'), isDark() ? 'Light' : 'Dark')
  const chosen = recall('localStorage', remembered)
  if (chosen === 'dark' || chosen === 'light') root.dataset['theme'] = chosen
  tell()
  byId('theme').hidden = false
  dark.addEventListener('change', tell)
  byId('theme').addEventListener('click', () => {
    root.dataset['theme'] = isDark() ? 'light' : 'dark'
    keep('localStorage', remembered, root.dataset['theme'])
    tell()
    document.dispatchEvent(new Event('themechange'))
  })
}
