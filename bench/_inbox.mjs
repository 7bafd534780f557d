// The peer of bench/inbox.py: a keyword echo with the Node Wechaty SDK. It keeps nothing.
//
// Run by inbox.py as `node _inbox.mjs ENDPOINT TOKEN`; says `ready` when logged in.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

// The packages live with the test gateway.
const require = createRequire(pathToFileURL(process.env.SIYU_GATEWAY + '/'))
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const { WechatyBuilder, log } = await load('wechaty')
const { PuppetService } = await load('wechaty-puppet-service')

log.level('silent')
const [endpoint, token] = process.argv.slice(2)
const puppet = new PuppetService({ endpoint, token, tls: { disable: true } })
const bot = WechatyBuilder.build({ name: 'peer', puppet })
bot.on('message', async (message) => {
  if (message.self()) return
  const text = message.text()
  if (text.includes('价格')) await message.say(`三十九 ${text}`)
})
bot.on('login', () => console.log('ready'))
bot.on('error', () => {})
await bot.start()
