import type { Overview } from '../src/contract.ts'
import { sentenceOf } from './ask.ts'
import { confirmed } from './confirmed.ts'
import { button, byId, element, setText } from './element.ts'
import { atTime, count, duration, percent } from './format.ts'
import * as client from './job-client.ts'
import { hasEnded, type Job } from './job-client.ts'
import { jobSummary } from './job-summary.ts'
import { keep, recall } from './kept.ts'
import { drawBar, drawState, KeyedTable, part, type Tone } from './keyed-table.ts'
import { saveBlob } from './save-picture.ts'
import { sectionHead } from './section-head.ts'

const namesName = 'ipfleet-job-names'
/** A browser has six connections for a server, and the page needs others. */
const maxFollowed = 2
const stateWords: Readonly<Record<string, readonly [Tone, string]>> = {
  receiving: ['idle', 'Coming in'],
  queued: ['idle', 'Queued'],
  running: ['warn', 'Running'],
  completed: ['good', 'Completed'],
  cancelled: ['idle', 'Cancelled'],
}

/** Lists of addresses: handed over by dropping them here, followed, read and summed up. */
export class JobsPart {
  readonly #section = byId('jobs')
  readonly #isReached: boolean
  readonly #mayChange: boolean
  readonly #note = sectionHead(this.#section, 'Jobs')
  readonly #outcome = element('p', { class: 'outcome', role: 'status', tabindex: -1 })
  readonly #summary = element('div', { 'aria-live': 'polite' })
  readonly #table: KeyedTable<Job>
  readonly #absent = element(
    'p',
    { class: 'empty' },
    'No bulk service is reached from here. Open the console by an edge that has a route for /jobs, once one runs.',
  )
  readonly #jobs = new Map<string, Job>()
  readonly #followed = new Map<string, AbortController>()
  readonly #names = new Map(
    Object.entries(JSON.parse(recall('sessionStorage', namesName) ?? '{}') as Record<string, string>),
  )
  /** What went wrong when the jobs were asked for. */
  #notListed = ''

  /**
   * @param isReached whether /jobs leads to bulk, where there is one
   * @param mayChange whether lists may be handed over, and jobs ended
   */
  constructor(isReached: boolean, mayChange: boolean) {
    this.#isReached = isReached
    this.#mayChange = mayChange
    this.#table = this.#createTable()
  }

  /** Shows jobs once bulk has come; they stay when it is away for a while. */
  update({ replicas }: Pick<Overview, 'replicas'>): void {
    if (this.#table.view.isConnected) return
    if (!this.#isReached || !replicas.some(({ service, state }) => service === 'bulk' && state !== 'gone')) {
      if (!this.#absent.isConnected) this.#section.append(this.#absent)
      return
    }
    this.#absent.remove()
    if (this.#mayChange) this.#section.append(this.#dropZone())
    this.#section.append(this.#outcome, this.#table.view, this.#summary, this.#tokenForm())
    void this.#refresh()
    document.addEventListener('visibilitychange', () => this.#onSeen())
  }

  /** A tab in the background holds no connection: a browser has six for a server, and other tabs need them. */
  #onSeen(): void {
    if (document.hidden) for (const followed of this.#followed.values()) followed.abort()
    else void this.#refresh()
  }

  #createTable(): KeyedTable<Job> {
    return new KeyedTable<Job>({
      caption: 'Jobs',
      keyOf: ({ id }) => id,
      empty: 'No jobs yet.',
      columns: [
        { title: 'List', draw: (cell, job) => this.#drawName(cell, job) },
        {
          title: 'State',
          draw: (cell, { state, waiting }) =>
            drawState(cell, ...(stateWords[state] ?? ['idle', state]), waiting === undefined ? '' : 'waits for room'),
        },
        {
          title: 'Progress',
          draw: (cell, { lines }) =>
            drawBar(
              cell,
              `${count(lines.done)} of ${count(lines.total)} (${percent(lines.done, lines.total)})`,
              lines.total === 0 ? 1 : lines.done / lines.total,
              false,
            ),
        },
        { title: 'Done in', text: etaOf },
        { title: 'Errors', isNumber: true, text: ({ lines }) => count(lines.errors) },
        { title: 'Actions', draw: (cell, job) => this.#drawActions(cell, job) },
      ],
    })
  }

  #dropZone(): HTMLElement {
    const input = element('input', { type: 'file', id: 'list', class: 'unseen' })
    input.addEventListener('change', () => {
      for (const file of input.files ?? []) void this.#create(file)
      input.value = ''
    })
    const label = element(
      'label',
      { for: 'list', class: 'drop' },
      element('strong', {}, 'Drop a list of addresses here'),
      ' or choose a file: lines, CSV, NDJSON or JSON, also packed',
    )
    const zone = element('div', { class: 'drop-zone' }, input, label)
    zone.addEventListener('dragover', (event) => {
      event.preventDefault()
      zone.classList.add('over')
    })
    zone.addEventListener('dragleave', () => zone.classList.remove('over'))
    zone.addEventListener('drop', (event) => {
      event.preventDefault()
      zone.classList.remove('over')
      for (const file of event.dataTransfer?.files ?? []) void this.#create(file)
    })
    return zone
  }

  #tokenForm(): HTMLElement {
    const input = element('input', { type: 'password', id: 'client-token', autocomplete: 'off' })
    const form = element(
      'form',
      { class: 'line' },
      element('label', { for: 'client-token' }, 'Client token'),
      input,
      element('button', { type: 'submit' }, 'Use it'),
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      client.keepClientToken(input.value.trim())
      input.value = ''
      void this.#refresh()
    })
    return element('details', {}, element('summary', {}, 'Jobs of a client with a token'), form)
  }

  async #create(file: File): Promise<void> {
    await this.#tried(this.#say(`${file.name} is on its way…`), async () => {
      const job = await client.createJob(file)
      this.#names.set(job.id, file.name)
      keep('sessionStorage', namesName, JSON.stringify(Object.fromEntries(this.#names)))
      this.#show(job)
    })
  }

  async #refresh(): Promise<void> {
    this.#notListed = await this.#tried(this.#notListed, async () => {
      const jobs = await client.listJobs()
      const listed = new Set(jobs.map(({ id }) => id))
      for (const id of this.#jobs.keys()) if (!listed.has(id)) this.#jobs.delete(id)
      for (const job of jobs) this.#jobs.set(job.id, job)
      this.#draw()
    })
  }

  #show(job: Job): void {
    this.#jobs.set(job.id, job)
    this.#draw()
  }

  #draw(): void {
    const jobs = [...this.#jobs.values()].toSorted((one, other) => other.created.localeCompare(one.created))
    const running = jobs.filter((job) => !hasEnded(job))
    setText(this.#note, running.length === 0 ? '' : `${running.length} under way`)
    this.#table.update(jobs)
    for (const { id } of running) this.#follow(id)
  }

  #follow(id: string): void {
    if (document.hidden || this.#followed.has(id) || this.#followed.size >= maxFollowed) return
    const over = new AbortController()
    this.#followed.set(id, over)
    void client
      .followJob(id, (job) => this.#show(job), over.signal)
      .finally(() => {
        this.#followed.delete(id)
        if (!document.hidden) void this.#refresh()
      })
  }

  #drawName(cell: HTMLElement, { id, created }: Job): void {
    setText(
      part(cell, 0, () => element('span')),
      this.#names.get(id) ?? `${id.slice(0, 8)}…`,
    )
    setText(
      part(cell, 1, () => element('span', { class: 'why' })),
      atTime(created),
    )
  }

  #drawActions(cell: HTMLElement, job: Job): void {
    const { id } = job
    const name = this.#names.get(id) ?? id
    const make = (text: string, onClick: () => unknown): HTMLButtonElement =>
      button(text, onClick, { class: 'quiet', 'aria-label': `${text}: ${name}` })
    part(cell, 0, () => make('Summary', () => this.#sumUp(id)))
    part(cell, 1, () =>
      element('a', { class: 'quiet', href: job.report, target: '_blank', 'aria-label': `Report: ${name}` }, 'Report'),
    ).hidden = job.report === undefined
    part(cell, 2, () => make('CSV', () => this.#download(id, 'csv')))
    part(cell, 3, () => make('NDJSON', () => this.#download(id, 'ndjson')))
    if (!this.#mayChange) return
    const end = part(cell, 4, () => make('Cancel', () => this.#end(id, name)))
    setText(end, hasEnded(job) ? 'Remove' : 'Cancel')
    end.setAttribute('aria-label', `${end.textContent}: ${name}`)
  }

  async #sumUp(id: string): Promise<void> {
    await this.#tried(this.#say('The list is being summed up…'), async () => {
      const name = this.#names.get(id) ?? id
      const view = await jobSummary(id, await client.readSummary(id))
      this.#summary.replaceChildren(element('h3', {}, `Summary of ${name}`), view)
    })
  }

  async #download(id: string, format: 'csv' | 'ndjson'): Promise<void> {
    await this.#tried(this.#say('The results are on their way…'), async () => {
      saveBlob(`${id}.${format}`, await client.readResults(id, format))
    })
  }

  async #end(id: string, name: string): Promise<void> {
    const job = this.#jobs.get(id)
    // The button says Cancel until the moment at which the job ends.
    const isRemoval = job !== undefined && hasEnded(job)
    if (isRemoval && !(await this.#isSureToRemove(name))) return
    await this.#tried(this.#say(''), async () => {
      this.#followed.get(id)?.abort()
      await client.deleteJob(id)
      if (isRemoval) {
        this.#say(`${name} is removed.`)
        // The row takes the focus with it.
        this.#outcome.focus()
      }
      await this.#refresh()
    })
  }

  #isSureToRemove(name: string): Promise<boolean> {
    return confirmed({
      title: `Remove ${name}?`,
      text: 'Its results and its report are gone then, for all who have the link.',
      action: 'Remove',
    })
  }

  #say(what: string): string {
    setText(this.#outcome, what)
    return what
  }

  /**
   * Says what went wrong, if anything did, and returns it.
   * @param said before, which is taken back when all went well; what others have said stays
   */
  async #tried(said: string, something: () => Promise<void>): Promise<string> {
    try {
      await something()
      return this.#outcome.textContent === said ? this.#say('') : ''
    } catch (error) {
      return this.#say(sentenceOf(error))
    }
  }
}

function etaOf(job: Job): string {
  if (hasEnded(job)) return ''
  return job.eta_seconds === undefined ? '…' : duration(job.eta_seconds)
}
