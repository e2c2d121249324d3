import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { temporaryFolder, type TemporaryFolder } from '@ipfleet/testing/service-process-folder.ts'
import { until } from '@ipfleet/testing/until.ts'

/** A page as somebody would see it. */
export interface ShownPage {
  /** Of the answer that is shown. */
  readonly status: number | undefined
  readonly text: string
  /** Why there is none: `net::ERR_…`. */
  readonly error: string | undefined
}

export interface ChromiumOptions {
  /** `http://127.0.0.1:port`, `https://…` or `socks5://…`. */
  readonly proxy: string
  /** What is typed when the proxy asks; undefined: the question is waved away. */
  readonly credentials?: { readonly username: string; readonly password: string }
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly message: string }
}

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--ignore-certificate-errors',
  '--remote-debugging-pipe',
  // It would go to loopback by itself.
  '--proxy-bypass-list=<-loopback>',
]

/** A browser with one page, driven by the DevTools protocol over a pipe. */
export class Chromium implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #folder: TemporaryFolder
  readonly #credentials: ChromiumOptions['credentials']
  readonly #waiting = new Map<number, (message: Message) => void>()
  #sent = 0
  #unread = ''
  #session: string | undefined
  #status: number | undefined
  #isLoaded = false
  #hasFailed = false
  #hasAnswered = false

  static async start({ proxy, credentials }: ChromiumOptions): Promise<Chromium> {
    const folder = await temporaryFolder('chromium')
    const own = [`--proxy-server=${proxy}`, `--user-data-dir=${folder.path}`]
    const child = spawn('chromium', [...flags, ...own], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    const browser = new Chromium(child, folder, credentials)
    try {
      await browser.#begin()
      return browser
    } catch (error) {
      await browser[Symbol.asyncDispose]()
      throw error
    }
  }

  private constructor(child: ChildProcess, folder: TemporaryFolder, credentials: ChromiumOptions['credentials']) {
    this.#child = child
    this.#folder = folder
    this.#credentials = credentials
    const answers = child.stdio[4] as Readable
    answers.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    // A pipe to a browser that has been killed is reset.
    for (const pipe of [answers, child.stdio[3]]) pipe?.on('error', () => {})
    child.once('exit', () => {
      for (const answer of this.#waiting.values()) answer({ error: { message: 'the browser has ended' } })
    })
  }

  /** Opens a page, and waits until all of it has been loaded, or it has failed. */
  async open(url: string): Promise<ShownPage> {
    this.#status = undefined
    this.#isLoaded = false
    this.#hasFailed = false
    this.#hasAnswered = false
    const { errorText } = await this.#call('Page.navigate', { url })
    // What was answered is told before that, and perhaps after the call has returned.
    await until(() => (errorText === undefined ? this.#isLoaded : this.#hasFailed))
    const { result } = await this.#call('Runtime.evaluate', { expression: 'document.body.innerText' })
    const { value } = result as { readonly value: unknown }
    return { status: this.#status, text: String(value), error: errorText as string | undefined }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child
    const exited = exitCode === null && signalCode === null ? once(this.#child, 'exit') : undefined
    this.#child.kill('SIGKILL')
    await exited
    // Its other processes end with it, a little later, and write until then.
    await until(() =>
      this.#folder.remove().then(
        () => true,
        () => false,
      ),
    )
  }

  async #begin(): Promise<void> {
    const { targetId } = await this.#call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.#call('Target.attachToTarget', { targetId, flatten: true })
    this.#session = String(sessionId)
    await this.#call('Page.enable')
    await this.#call('Network.enable')
    await this.#call('Fetch.enable', { handleAuthRequests: true })
  }

  async #call(method: string, params: Message['params'] = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = (this.#sent += 1)
    const { promise, resolve } = Promise.withResolvers<Message>()
    this.#waiting.set(id, resolve)
    const sessionId = this.#session
    const questions = this.#child.stdio[3] as Writable
    questions.write(`${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`)
    const { result = {}, error } = await promise
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result
  }

  /** About a request, which the browser may have given up meanwhile. */
  #tell(method: string, params: Message['params']): void {
    this.#call(method, params).catch(() => {})
  }

  #read(text: string): void {
    const messages = (this.#unread + text).split('\0')
    this.#unread = messages.pop() ?? ''
    for (const message of messages) this.#hear(JSON.parse(message) as Message)
  }

  #hear({ id, method, params = {}, ...rest }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.(rest)
    else if (method === 'Page.loadEventFired') this.#isLoaded = true
    else if (method === 'Network.loadingFailed' && params['type'] === 'Document') this.#hasFailed = true
    else if (method === 'Network.responseReceived' && params['type'] === 'Document') {
      this.#status = (params['response'] as { readonly status: number }).status
    } else if (method === 'Fetch.requestPaused') {
      this.#tell('Fetch.continueRequest', { requestId: params['requestId'] })
    } else if (method === 'Fetch.authRequired') this.#authenticate(params['requestId'])
  }

  /** Whoever is asked again has typed the wrong thing, and gives up. */
  #authenticate(requestId: unknown): void {
    const types = this.#credentials !== undefined && !this.#hasAnswered
    this.#hasAnswered = true
    const authChallengeResponse = types
      ? { response: 'ProvideCredentials', ...this.#credentials }
      : { response: 'CancelAuth' }
    this.#tell('Fetch.continueWithAuth', { requestId, authChallengeResponse })
  }
}
