import { button, element } from './element.ts'

const drawn = ['fill', 'stroke', 'stroke-width', 'opacity', 'font-size', 'font-family', 'font-weight'] as const
const scale = 2

/** Two buttons that save what `picture` draws when they are pressed. */
export function saveButtons(name: string, picture: () => Promise<SVGSVGElement>): HTMLElement {
  const asSvg = async (): Promise<void> => {
    const [svg] = await styled(picture)
    saveBlob(`${name}.svg`, new Blob([new XMLSerializer().serializeToString(svg)], { type: 'image/svg+xml' }))
  }
  const asPng = async (): Promise<void> => {
    const [svg, width, height] = await styled(picture)
    const blob = await painted(svg, width, height)
    if (blob !== null) saveBlob(`${name}.png`, blob)
  }
  return element(
    'span',
    { class: 'actions' },
    button('Save the picture as SVG', asSvg, { class: 'quiet' }),
    button('Save the picture as PNG', asPng, { class: 'quiet' }),
  )
}

export function saveBlob(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob)
  const link = element('a', { href: url, download: name })
  link.click()
  // The browser reads it in a task of its own.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

/** The picture with the colours that the page's styles give it, as attributes, so that it stands by itself. */
async function styled(picture: () => Promise<SVGSVGElement>): Promise<readonly [SVGSVGElement, number, number]> {
  const svg = await picture()
  const [, , width = 0, height = 0] = (svg.getAttribute('viewBox') ?? '').split(' ').map(Number)
  const unseen = element('div', { class: 'unseen', 'aria-hidden': 'true' }, svg)
  document.body.append(unseen)
  for (const one of svg.querySelectorAll('path, circle, rect, text')) {
    const style = getComputedStyle(one)
    for (const property of drawn) one.setAttribute(property, widelyKnown(style.getPropertyValue(property)))
    for (const unused of ['class', 'data-shade']) one.removeAttribute(unused)
  }
  unseen.remove()
  svg.setAttribute('width', String(width))
  svg.setAttribute('height', String(height))
  return [svg, width, height]
}

/** `color(srgb 0.2 0.5 0.5)`, which browsers make of mixed colours, as programs that draw pictures know it: `rgb(51, 128, 128)`. */
function widelyKnown(value: string): string {
  const channels = /^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)\)$/.exec(value)?.slice(1)
  return channels === undefined ? value : `rgb(${channels.map((part) => Math.round(Number(part) * 255)).join(', ')})`
}

function painted(svg: SVGSVGElement, width: number, height: number): Promise<Blob | null> {
  const canvas = element('canvas', { width: width * scale, height: height * scale })
  const context = canvas.getContext('2d')
  const { promise, resolve, reject } = Promise.withResolvers<Blob | null>()
  const image = new Image(width * scale, height * scale)
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(svg)], { type: 'image/svg+xml' }))
  image.addEventListener('error', () => reject(new Error('The browser cannot draw the picture')))
  image.addEventListener('load', () => {
    context?.drawImage(image, 0, 0, width * scale, height * scale)
    URL.revokeObjectURL(url)
    canvas.toBlob(resolve)
  })
  image.src = url
  return promise
}
