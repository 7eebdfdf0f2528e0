// Tries index.html in a real Chromium: screenshots at 390 and 1,280 px, light and dark, and as it prints; axe-core;
// no request but for the page itself; no sideways scrolling; reachable by keyboard. Exits 1 if anything is wrong.
//
//	npm install --no-save --prefix DIR playwright-core axe-core
//	cd DIR && node REPOSITORY/harness/report/testdata/browser.mjs OUT/index.html PICTURES
//
// CHROMIUM names the browser; the default is Debian's.
import { createRequire } from 'node:module'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(process.cwd(), 'here.js'))
const { chromium } = require('playwright-core')
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

const [page, pictures] = process.argv.slice(2).map(p => resolve(p))
if (!page || !pictures) {
  console.error('usage: browser.mjs INDEX.HTML FOLDER')
  process.exit(2)
}
mkdirSync(pictures, { recursive: true })
const wrong = []
if (statSync(page).size >= 1 << 20) wrong.push(`the page has ${statSync(page).size} bytes, want less than 1 MiB`)

const profile = mkdtempSync(join(tmpdir(), 'report-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const tab = await browser.newPage()
tab.on('request', r => { if (!r.url().startsWith('file:') && !r.url().startsWith('data:')) wrong.push(`a request leaves the page: ${r.url()}`) })
tab.on('console', m => { if (m.type() === 'error') wrong.push(`console: ${m.text()}`) })

for (const scheme of ['light', 'dark']) {
  for (const width of [390, 1280]) {
    await tab.emulateMedia({ colorScheme: scheme })
    await tab.setViewportSize({ width, height: 900 })
    await tab.goto(pathToFileURL(page).href)
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    if (wide > 0) wrong.push(`${width} px ${scheme}: the page scrolls sideways by ${wide} px`)
    await tab.evaluate(axe)
    const result = await tab.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
    for (const v of result.violations) wrong.push(`${width} px ${scheme}: axe ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')}`)
    await tab.screenshot({ path: join(pictures, `${width}-${scheme}.png`) })
    if (scheme === 'light') await tab.screenshot({ path: join(pictures, `${width}-whole.png`), fullPage: true })
    console.log(`${width} px ${scheme}: axe passed ${result.passes.length} rules, ${result.violations.length} violations`)
  }
}

await tab.goto(pathToFileURL(page).href)
await tab.keyboard.press('Tab')
const first = await tab.evaluate(() => document.activeElement?.textContent)
if (first !== 'Skip to the report') wrong.push(`the first Tab reaches ${JSON.stringify(first)}, want the skip link`)
await tab.keyboard.press('Enter')
if (!(await tab.evaluate(() => location.hash === '#main'))) wrong.push('the skip link does not lead to #main')

await tab.emulateMedia({ media: 'print' })
await tab.pdf({ path: join(pictures, 'print.pdf'), preferCSSPageSize: true, printBackground: true })
await browser.close()
rmSync(profile, { recursive: true, force: true })
for (const w of wrong) console.error(w)
console.log(wrong.length === 0 ? 'nothing is wrong' : `${wrong.length} things are wrong`)
process.exit(wrong.length === 0 ? 0 : 1)
