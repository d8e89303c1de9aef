/** One page of the system's Chromium on the server of this folder. */
import { chromium, type Page } from 'playwright-core'
import { chromiumPath, startPageServer } from './page_server.ts'

export async function openPage(): Promise<{ page: Page; close(): Promise<void> }> {
  const server = await startPageServer()
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  const page = await browser.newPage()
  await page.goto(server.url)
  return {
    page,
    async close() {
      await browser.close()
      await server.close()
    },
  }
}
