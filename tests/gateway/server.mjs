// A real Wechaty gateway (wechaty-puppet-service's PuppetServer) in front of wechaty-puppet-mock.
//
// Run by gateway.py as `node server.mjs '{"port": 1, "token": "…", "tls": false, "log": "sends.jsonl"}'`.
// It reads one JSON command a line on stdin and answers one JSON line each on stdout; everything the
// bot makes the account do is appended to the log file at the moment it "reaches WeChat", so the
// record survives a SIGKILL of this process.
import fs from 'node:fs'
import crypto from 'node:crypto'
import readline from 'node:readline'

import { log as puppetLog } from 'wechaty-puppet'
import { PuppetMock, mock } from 'wechaty-puppet-mock'
import { PuppetServer } from 'wechaty-puppet-service'

const options = JSON.parse(process.argv[2])
puppetLog.level('silent')
console.error = () => {}  // the libraries report every scripted failure here

const friendships = new Map()
const invitations = new Map()
const attachments = new Map()
const counters = { started: 0, told: 0, fetched: {} }
let faults = []
let echo = true
let serial = 0

const now = () => Date.now()
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const fresh = (prefix) => `${prefix}-${process.pid}-${++serial}`
const answer = (line) => process.stdout.write(JSON.stringify(line) + '\n')

function record (entry) {
  fs.appendFileSync(options.log, JSON.stringify({ at: now(), ...entry }) + '\n')
  answer({ logged: true })
}

function scripted (method, id) {
  const at = faults.findIndex((f) => f.on === method && (f.id === undefined || f.id === id))
  if (at < 0) return undefined
  const fault = faults[at]
  if (--fault.times <= 0) faults.splice(at, 1)
  return fault
}

function refusal (fault) {
  const error = new Error(fault.message ?? 'scripted refusal')
  if (fault.code !== undefined) Object.assign(error, { code: fault.code, details: error.message })
  return error
}

/** Reads (payload fetches): `refuse`, `hang` or `late`. */
async function reading (method, id, answer) {
  counters.fetched[method] = (counters.fetched[method] ?? 0) + 1
  const fault = scripted(method, id)
  if (fault?.mode === 'refuse') throw refusal(fault)
  if (fault?.mode === 'hang') await new Promise(() => {})
  if (fault?.mode === 'late') await pause(fault.ms)
  return answer()
}

/** Writes: `refuse` and `hang` before anything is sent; `drop`, `die`, `no_id` and `late` after. */
async function acting (entry, message) {
  const fault = scripted('send', entry.to)
  if (fault?.mode === 'refuse') throw refusal(fault)
  if (fault?.mode === 'hang') await new Promise(() => {})
  const id = message ? fresh('sent') : undefined
  record({ ...entry, ...(id && { id }) })
  if (message && echo) deliver({ ...message, id, talkerId: puppet.currentUserId, ...where(entry.to) })
  if (fault?.mode === 'die') process.kill(process.pid, 'SIGKILL')
  if (fault?.mode === 'drop') { hangUp(); await new Promise(() => {}) }
  if (fault?.mode === 'late') await pause(fault.ms)
  return fault?.mode === 'no_id' ? undefined : id
}

const where = (to) => mocker.cacheRoomPayload.has(to) ? { roomId: to } : { listenerId: to }

function deliver (payload) {
  const message = { id: fresh('msg'), timestamp: now(), type: 7, text: '', ...payload }
  mocker.cacheMessagePayload.set(message.id, message)
  counters.told += 1
  puppet.emit('message', { messageId: message.id })
  return message
}

function hangUp () {
  for (const session of server.grpcServer.sessions.keys()) session.destroy()
}

async function fileEntry (to, file) {
  const box = { kind: 'file', to, name: file.name, boxed: file.type }
  if (file.remoteUrl) return { ...box, url: file.remoteUrl }
  const bytes = await file.toBuffer()
  return { ...box, size: bytes.length, sha256: crypto.createHash('sha256').update(bytes).digest('hex') }
}

class ScriptedPuppet extends PuppetMock {
  async onStart () {
    record({ kind: 'start' })
    counters.started += 1
    await reading('start', '', () => {})
    return super.onStart()
  }

  async onStop () { record({ kind: 'stop' }); return super.onStop() }

  async messageRawPayload (id) { return reading('message', id, () => super.messageRawPayload(id)) }
  async contactRawPayload (id) { return reading('contact', id, () => super.contactRawPayload(id)) }
  async roomRawPayload (id) { return reading('room', id, () => super.roomRawPayload(id)) }
  async contactList () { return reading('contacts', '', () => super.contactList()) }
  async roomList () { return reading('rooms', '', () => super.roomList()) }

  async roomMemberRawPayload (roomId, id) {
    return reading('member', id, () => {
      const contact = mocker.contactPayload(id)
      return { id, name: contact.name, avatar: '', roomAlias: mocker.roomPayload(roomId).aliases?.[id] ?? '' }
    })
  }

  async friendshipRawPayload (id) {
    return reading('friendship', id, () => {
      if (!friendships.has(id)) throw new Error('no such friendship ' + id)
      return friendships.get(id)
    })
  }

  async roomInvitationRawPayload (id) { return invitations.get(id) }
  async messageUrl (id) { return reading('url', id, () => attachments.get(id) ?? super.messageUrl(id)) }
  async messageMiniProgram (id) { return reading('mini', id, () => attachments.get(id) ?? super.messageMiniProgram(id)) }
  async messageContact (id) { return reading('card', id, () => attachments.get(id) ?? '') }

  async messageSendText (to, text, mentions) {
    return acting({ kind: 'text', to, text, mentions: mentions ?? [] }, { type: 7, text, mentionIdList: mentions ?? [] })
  }

  async messageSendFile (to, file) {
    return acting(await fileEntry(to, file), { type: 1, filename: file.name })
  }

  async messageSendUrl (to, link) { return acting({ kind: 'link', to, link }, { type: 14, text: link.url }) }
  async messageSendMiniProgram (to, program) { return acting({ kind: 'mini_program', to, program }, { type: 9 }) }
  async messageSendContact (to, contactId) { return acting({ kind: 'card', to, contactId }, { type: 3 }) }
  async friendshipAccept (id) { return acting({ kind: 'accept', to: id }) }
  async roomAdd (to, contactId) { return acting({ kind: 'add', to, contactId }) }
  async roomDel (to, contactId) { return acting({ kind: 'kick', to, contactId }) }

  async contactAlias (to, alias) {
    if (alias === undefined) return mocker.contactPayload(to).alias ?? ''
    await acting({ kind: 'alias', to, alias })
    mocker.contactPayload(to).alias = alias
    this.dirtyPayload(2, to)
  }

  async roomTopic (to, topic) {
    if (topic === undefined) return mocker.roomPayload(to).topic
    await acting({ kind: 'topic', to, topic })
    mocker.roomPayload(to).topic = topic
    this.dirtyPayload(3, to)
  }

  async roomAnnounce (to, text) {
    if (text === undefined) return ''
    await acting({ kind: 'announce', to, text })
  }
}

const mocker = new mock.Mocker()
const puppet = new ScriptedPuppet({ mocker })
puppet.on('error', () => {})  // an 'error' event without a listener would end the process

const commands = {
  contact ({ payload }) {
    mocker.cacheContactPayload.set(payload.id, {
      gender: 0, type: 1, name: payload.id, friend: true, avatar: '', phone: [], ...payload,
    })
    puppet.dirtyPayload(2, payload.id)
  },
  forget ({ id }) {
    mocker.cacheContactPayload.delete(id)
    puppet.dirtyPayload(2, id)
  },
  room ({ payload }) {
    mocker.cacheRoomPayload.set(payload.id, {
      topic: payload.id, adminIdList: [], memberIdList: [], avatar: '', ...payload,
    })
    puppet.dirtyPayload(3, payload.id)
  },
  login ({ id }) { puppet.login(id) },
  async logout ({ reason }) { await puppet.logout(reason) },
  message ({ payload, attachment }) {
    const id = payload.id ?? fresh('msg')
    if (attachment !== undefined) attachments.set(id, attachment)
    return deliver({ ...payload, id }).id
  },
  remember ({ payload }) { mocker.cacheMessagePayload.set(payload.id, payload) },
  flood ({ count, conversations, text }) {
    for (let index = 0; index < count; index++) {
      const to = conversations[index % conversations.length]
      deliver({ id: fresh('flood'), text: `${text}${index}`, ...to })
    }
  },
  friendship ({ payload }) {
    friendships.set(payload.id, payload)
    puppet.cache.friendship.delete(payload.id)
    puppet.emit('friendship', { friendshipId: payload.id })
  },
  invitation ({ payload }) {
    invitations.set(payload.id, payload)
    puppet.emit('room-invite', { roomInvitationId: payload.id })
  },
  emit ({ event, payload }) { puppet.emit(event, payload) },
  fail ({ fault }) { faults.push({ times: 1, ...fault }) },
  heal () { faults = [] },
  echo ({ on }) { echo = on },
  async reset () {
    faults = []
    echo = true
    Object.assign(counters, { started: 0, told: 0, fetched: {} })
    await puppet.logout('reset')
    for (const known of [mocker.cacheContactPayload, mocker.cacheRoomPayload, mocker.cacheMessagePayload]) known.clear()
    for (const known of ['contact', 'room', 'roomMember', 'message', 'friendship']) puppet.cache[known].clear()
  },
  async listen () { await server.start() },
  hang_up () { hangUp() },
  counters () { return counters },
}

const server = new PuppetServer({
  endpoint: `127.0.0.1:${options.port}`,
  puppet,
  token: options.token,
  tls: { disable: !options.tls, ...options.certificate },
})
answer({ ready: true })

for await (const line of readline.createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  try {
    answer({ ok: (await commands[command.do](command)) ?? null })
  } catch (error) {
    answer({ error: String(error?.stack ?? error) })
  }
}
process.exit(0)
