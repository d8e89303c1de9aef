// Runs before the first paint, so a remembered theme never flashes. A choice equal to the system's is forgotten:
// the page then follows the system again.
{
  const root = document.documentElement
  const system = matchMedia('(prefers-color-scheme: dark)')
  const key = 'latchkey.theme'

  const recall = () => {
    try {
      return localStorage.getItem(key)
    } catch {
      return null // storage is blocked: the switch then lasts as long as the page
    }
  }
  /** @param {string | null} theme */
  const remember = (theme) => {
    try {
      if (theme) localStorage.setItem(key, theme)
      else localStorage.removeItem(key)
    } catch {
      // as above
    }
  }
  /** @param {string | null} theme */
  const wear = (theme) => {
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme
    else delete root.dataset.theme
  }
  const other = () =>
    (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark' ? 'light' : 'dark'

  wear(recall())

  addEventListener('DOMContentLoaded', () => {
    const button = /** @type {HTMLElement} */ (document.getElementById('theme'))
    const name = () => {
      button.textContent = other() === 'dark' ? 'Dark theme' : 'Light theme'
    }
    button.addEventListener('click', () => {
      const next = other()
      const theme = next === (system.matches ? 'dark' : 'light') ? null : next
      remember(theme)
      wear(theme)
      name()
    })
    system.addEventListener('change', name)
    addEventListener('storage', (event) => {
      if (event.key !== key && event.key !== null) return
      wear(recall())
      name()
    })
    name()
    button.hidden = false
  })
}
