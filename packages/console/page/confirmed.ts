import { type Child, element } from './element.ts'

export interface Question {
  readonly title: string
  readonly text: string
  /** What the button says that does it. */
  readonly action: string
  readonly more?: readonly Child[]
}

/** Asks before something that costs. Escape and Cancel say no. */
export async function confirmed({ title, text, action, more = [] }: Question): Promise<boolean> {
  const cancel = element('button', { value: '' }, 'Cancel')
  const form = element(
    'form',
    { method: 'dialog' },
    element('h2', { id: 'question-title' }, title),
    element('p', {}, text),
    ...more,
    element('p', { class: 'actions' }, cancel, element('button', { value: 'yes', class: 'primary' }, action)),
  )
  const dialog = element('dialog', { 'aria-labelledby': 'question-title' }, form)
  document.body.append(dialog)
  dialog.showModal()
  cancel.focus()
  await new Promise((resolve) => {
    dialog.addEventListener('close', resolve, { once: true })
  })
  dialog.remove()
  return dialog.returnValue === 'yes'
}
