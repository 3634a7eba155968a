// The stock Node.js clients, in their own words. PORT is a running server.
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import assert from 'node:assert/strict'
import { test } from 'node:test'

const port = Number(process.env.PORT)

test('ioredis: strings, expiry, pipeline, transaction', async () => {
  const redis = new Redis({ port, host: '127.0.0.1' })
  try {
    assert.equal(await redis.set('io:a', 'b', 'EX', 100), 'OK')
    assert.equal(await redis.get('io:a'), 'b')
    assert.ok(await redis.ttl('io:a') > 90)
    const answers = await redis.pipeline().set('io:n', 1).incr('io:n').mget('io:n', 'io:none').exec()
    assert.deepEqual(answers, [[null, 'OK'], [null, 2], [null, ['2', null]]])
    assert.deepEqual(await redis.multi().incrby('io:n', 5).get('io:n').exec(), [[null, 7], [null, '7']])
    await assert.rejects(redis.incr('io:a'), /value is not an integer/)
    const binary = Buffer.from([0, 255, 13, 10, 36])
    await redis.set('io:binary', binary)
    assert.deepEqual(await redis.getBuffer('io:binary'), binary)
    const seen = new Set()
    for (let i = 0; i < 500; i++) await redis.set(`io:scan:${i}`, i)
    for await (const keys of redis.scanStream({ match: 'io:scan:*', count: 50 })) keys.forEach(k => seen.add(k))
    assert.equal(seen.size, 500)
  } finally {
    redis.disconnect()
  }
})

test('ioredis: publish and subscribe', async () => {
  const reader = new Redis({ port, host: '127.0.0.1' })
  const writer = new Redis({ port, host: '127.0.0.1' })
  try {
    const got = []
    await reader.subscribe('io:news')
    await reader.psubscribe('io:n*')
    const done = new Promise(resolve => {
      reader.on('message', (channel, message) => got.push([channel, message]))
      reader.on('pmessage', (pattern, channel, message) => { got.push([pattern, channel, message]); if (got.length === 2) resolve() })
    })
    assert.equal(await writer.publish('io:news', 'hello'), 2)
    await done
    assert.deepEqual(got, [['io:news', 'hello'], ['io:n*', 'io:news', 'hello']])
  } finally {
    reader.disconnect()
    writer.disconnect()
  }
})

for (const RESP of [2, 3]) {
  test(`node-redis over RESP${RESP}: strings, transactions, pub/sub`, async () => {
    const client = createClient({ socket: { port, host: '127.0.0.1' }, RESP })
    await client.connect()
    const reader = client.duplicate()
    await reader.connect()
    try {
      assert.equal(await client.set('nr:a', '1', { expiration: { type: 'EX', value: 50 } }), 'OK')
      assert.equal(await client.get('nr:a'), '1')
      assert.equal(await client.incrBy('nr:a', 41), 42)
      assert.deepEqual(await client.multi().set('nr:b', 'x').get('nr:b').exec(), ['OK', 'x'])
      assert.equal(await client.get('nr:none'), null)
      await client.flushAll()
      assert.equal(await client.setBit('nr:bits', 7, 1), 0)
      assert.equal(await client.bitCount('nr:bits'), 1)
      const message = new Promise(resolve => reader.subscribe('nr:news', resolve).then(() => client.publish('nr:news', 'hi')))
      assert.equal(await message, 'hi')
      const keys = []
      for await (const batch of client.scanIterator({ MATCH: 'nr:*' })) keys.push(...[batch].flat())
      assert.deepEqual(keys, ['nr:bits'])
    } finally {
      client.destroy()
      reader.destroy()
    }
  })
}

test('ioredis: commands of its own, blocking pops, streams', async () => {
  const redis = new Redis({ port, host: '127.0.0.1' })
  const waiter = redis.duplicate()
  try {
    redis.defineCommand('bump', { numberOfKeys: 1, lua: "return {redis.call('INCRBY', KEYS[1], ARGV[1]), ARGV[2]}" })
    assert.deepEqual(await redis.bump('io:bumped', 5, 'five'), [5, 'five'])
    assert.deepEqual(await redis.pipeline().bump('io:bumped', 1, 'a').bump('io:bumped', 1, 'b').exec(), [[null, [6, 'a']], [null, [7, 'b']]])
    const popped = waiter.blmpop(5, 2, 'io:none', 'io:queue', 'LEFT', 'COUNT', 2)
    const first = waiter.bzpopmin('io:zset', 5)
    await redis.rpush('io:queue', 'a', 'b', 'c')
    assert.deepEqual(await popped, ['io:queue', ['a', 'b']])
    await redis.zadd('io:zset', 2, 'later', 1, 'sooner')
    assert.deepEqual(await first, ['io:zset', 'sooner', '1'])
    const read = waiter.xread('BLOCK', 5000, 'STREAMS', 'io:stream', '$')
    await new Promise(resolve => setTimeout(resolve, 30))
    const id = await redis.xadd('io:stream', '*', 'f', 'v')
    assert.deepEqual(await read, [['io:stream', [[id, ['f', 'v']]]]])
    assert.deepEqual(await redis.hset('io:hash', { a: 1, b: 2 }), 2)
    assert.deepEqual(await redis.hgetall('io:hash'), { a: '1', b: '2' })
  } finally {
    redis.disconnect()
    waiter.disconnect()
  }
})

test('ioredis: a watched key that changes makes EXEC answer null; WATCH goes with its connection', async () => {
  const [redis, other] = [new Redis({ port, host: '127.0.0.1' }), new Redis({ port, host: '127.0.0.1' })]
  try {
    await redis.watch('io:watched')
    await other.set('io:watched', 1)
    assert.equal(await redis.multi().set('io:watched', 2).exec(), null)
    assert.equal(await redis.get('io:watched'), '1')
  } finally {
    redis.disconnect()
    other.disconnect()
  }
})

test('node-redis: a cache on its own side is told of changes', async () => {
  const cached = createClient({ socket: { port, host: '127.0.0.1' }, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } })
  const other = createClient({ socket: { port, host: '127.0.0.1' } })
  await Promise.all([cached.connect(), other.connect()])
  try {
    await other.set('nr:cached', 'old')
    assert.equal(await cached.get('nr:cached'), 'old')
    await other.set('nr:cached', 'new')
    for (let i = 0; i < 200 && await cached.get('nr:cached') === 'old'; i++) await new Promise(resolve => setTimeout(resolve, 5))
    assert.equal(await cached.get('nr:cached'), 'new')
    await other.zAdd('nr:zset', [{ score: 1, value: 'a' }, { score: 2.5, value: 'b' }])
    assert.deepEqual(await cached.zRangeWithScores('nr:zset', 0, -1), [{ value: 'a', score: 1 }, { value: 'b', score: 2.5 }])
    assert.deepEqual(await cached.eval("return redis.call('ZCARD', KEYS[1])", { keys: ['nr:zset'] }), 2)
  } finally {
    cached.destroy()
    other.destroy()
  }
})
