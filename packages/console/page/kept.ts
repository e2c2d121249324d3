/** What was kept while the browser would not, for as long as the page is open. */
const kept = new Map<string, string>()

/** What the browser keeps for this page. Reading it throws where the user has blocked cookies and site data. */
export function recall(storage: 'localStorage' | 'sessionStorage', name: string): string | null {
  try {
    return globalThis[storage].getItem(name)
  } catch {
    return kept.get(name) ?? null
  }
}

export function keep(storage: 'localStorage' | 'sessionStorage', name: string, value: string): void {
  try {
    globalThis[storage].setItem(name, value)
  } catch {
    kept.set(name, value)
  }
}
