// What web programs keep in Redis: sessions and limits of rates, through real requests.
import { RedisStore } from 'connect-redis'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import session from 'express-session'
import { Redis } from 'ioredis'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { RedisStore as LimitStore } from 'rate-limit-redis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createClient } from 'redis'

const port = Number(process.env.PORT)
const client = createClient({ socket: { port, host: '127.0.0.1' } })
const redis = new Redis({ port, host: '127.0.0.1' })
before(() => client.connect())
after(() => { client.destroy(); redis.disconnect() })

async function serving(app, use) {
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await use((path, headers = {}) => fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers }))
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

test('connect-redis: a session lasts over requests, is touched, listed and ended', async () => {
  const store = new RedisStore({ client, prefix: 'sess:', ttl: 100 })
  const app = express()
  app.use(session({ store, secret: 'x', resave: false, saveUninitialized: false, cookie: { maxAge: 60000 } }))
  app.get('/count', (req, res) => { req.session.n = (req.session.n ?? 0) + 1; res.json(req.session.n) })
  app.get('/look', (req, res) => res.json(req.session.n ?? null))
  app.get('/out', (req, res) => req.session.destroy(() => res.json('bye')))
  await serving(app, async get => {
    const first = await get('/count')
    const cookie = first.headers.get('set-cookie').split(';')[0]
    assert.equal(await first.json(), 1)
    assert.equal(await (await get('/count', { cookie })).json(), 2)
    assert.equal(await (await get('/look', { cookie })).json(), 2)
    assert.equal(await (await get('/look')).json(), null)
    const [key] = await client.keys('sess:*')
    assert.ok(await client.ttl(key) > 50)
    assert.equal(await store.length(), 1)
    assert.equal((await store.all())[0].n, 2)
    assert.equal(await (await get('/out', { cookie })).json(), 'bye')
    assert.equal(await client.exists(key), 0)
    assert.equal(await (await get('/look', { cookie })).json(), null)
  })
})

test('express-rate-limit: a window is counted by a script, and refuses what is too much', async () => {
  const app = express()
  app.use(rateLimit({ windowMs: 60000, limit: 3, standardHeaders: 'draft-7',
    store: new LimitStore({ sendCommand: (...words) => client.sendCommand(words), prefix: 'rl:' }) }))
  app.get('/', (req, res) => res.send('in'))
  await serving(app, async get => {
    const answers = []
    for (let i = 0; i < 5; i++) answers.push((await get('/')).status)
    assert.deepEqual(answers, [200, 200, 200, 429, 429])
  })
})

for (const [name, storeClient] of [['ioredis', () => redis], ['node-redis', () => client]])
  test(`rate-limiter-flexible over ${name}: points, blocks, rewards`, async () => {
    const limiter = new RateLimiterRedis({ storeClient: storeClient(), useRedisPackage: name === 'node-redis', points: 3, duration: 60,
      blockDuration: 30, keyPrefix: `rlf-${name}` })
    assert.equal((await limiter.consume('user')).remainingPoints, 2)
    await limiter.consume('user', 2)
    const refused = await limiter.consume('user').then(() => null, it => it)
    assert.ok(refused.msBeforeNext > 25000 && refused.msBeforeNext <= 30000)
    assert.equal((await limiter.get('user')).remainingPoints, 0)
    assert.equal(await limiter.delete('user'), true)
    assert.equal((await limiter.consume('user')).consumedPoints, 1)
    assert.equal((await limiter.penalty('other', 2)).consumedPoints, 2)
    assert.equal((await limiter.reward('other', 1)).consumedPoints, 1)
    const many = await Promise.allSettled(Array.from({ length: 20 }, () => limiter.consume('crowd')))
    assert.equal(many.filter(it => it.status === 'fulfilled').length, 3)
  })
