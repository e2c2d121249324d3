import type { Overview, Session } from '../src/contract.ts'
import { AddressPart } from './address-part.ts'
import { ask, readSession, Refusal, sentenceOf } from './ask.ts'
import { byId, element, setText } from './element.ts'
import { FleetPart } from './fleet-part.ts'
import { FlowPart } from './flow-part.ts'
import { atSecond } from './format.ts'
import { JobsPart } from './jobs-part.ts'
import { setClock, tickCountdowns } from './keyed-table.ts'
import { KeysPart } from './keys-part.ts'
import { LiveOverview } from './live-overview.ts'
import { ClientsPart, SourcesPart } from './shares-parts.ts'
import { startTheme } from './theme.ts'
import { VerdictPart } from './verdict-part.ts'

startTheme()
await start()

/** Shows the fleet to who may see it, else the form to log in. */
async function start(): Promise<void> {
  try {
    showFleet(await readSession())
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) showLogin()
    else {
      showLive(sentenceOf(error), false)
      setTimeout(() => void start(), 3000)
    }
  }
}

function showFleet(session: Session): void {
  const mayChange = session.role === 'admin'
  const verdict = new VerdictPart()
  const [flow, keys, fleet] = [new FlowPart(mayChange), new KeysPart(mayChange), new FleetPart()]
  const [clients, sources, jobs] = [
    new ClientsPart(),
    new SourcesPart(),
    new JobsPart(session.features.jobs, mayChange),
  ]
  const updates: readonly ((overview: Overview) => void)[] = [
    (overview) => setClock(overview.at),
    (overview) => verdict.update(overview.verdict),
    (overview) => flow.update(overview.flow),
    (overview) => keys.update(overview.keys),
    (overview) => fleet.update(overview),
    (overview) => clients.update(overview.clients),
    (overview) => sources.update(overview.sources),
    (overview) => jobs.update(overview),
  ]
  const live = new LiveOverview({
    onOverview: (overview) => inTurn(updates.map((update) => () => update(overview))),
    onStale: (since) => {
      showLive(since === undefined ? 'Live' : `Stale since ${atSecond(since)}`, since === undefined)
      verdict.markStale(since)
    },
    onLoggedOut: () => location.reload(),
  })
  for (const id of ['console', 'parts']) byId(id).hidden = false
  inTurn([() => new AddressPart()])
  live.open()
  setInterval(tickCountdowns, 1000)
  const who = session.role === 'admin' ? 'everything can be changed' : 'nothing can be changed'
  byId('footer').replaceChildren(
    element(
      'p',
      {},
      `ipfleet ${session.version} · ${who}${session.by === 'loopback' ? ' · from this machine, without a login' : ''}`,
    ),
  )
  showLogOut(session)
}

/** Each in a frame of its own: no layout may keep the page from answering for long. */
function inTurn(steps: readonly (() => unknown)[]): void {
  const [step, ...rest] = steps
  if (step === undefined) return
  requestAnimationFrame(() => {
    step()
    inTurn(rest)
  })
}

function showLive(text: string, isLive: boolean): void {
  const live = byId('live')
  live.className = isLive ? 'live' : 'live stale'
  setText(live, text)
}

function showLogOut({ by }: Session): void {
  const logOut = byId('log-out')
  logOut.hidden = by === 'loopback'
  logOut.addEventListener('click', async () => {
    await ask('DELETE', '/console/session').catch(() => undefined)
    location.reload()
  })
}

function showLogin(): void {
  const form = byId('login')
  form.hidden = false
  const token = byId('token') as HTMLInputElement
  token.focus()
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    setText(byId('login-error'), '')
    try {
      const body = JSON.stringify({ token: token.value })
      await ask('POST', '/console/session', { body, headers: { 'Content-Type': 'application/json' } })
      location.reload()
    } catch (error) {
      token.value = ''
      token.focus()
      setText(byId('login-error'), sentenceOf(error))
    }
  })
}
