// A job queue that lives on Lua scripts, streams and blocking pops: BullMQ.
import { FlowProducer, Queue, QueueEvents, Worker } from 'bullmq'
import assert from 'node:assert/strict'
import { after, test } from 'node:test'

const connection = { port: Number(process.env.PORT), host: '127.0.0.1', maxRetriesPerRequest: null }
const open = []
const keep = it => (open.push(it), it)
after(() => Promise.all(open.map(it => it.close())))

async function queueAndEvents(name) {
  const queue = keep(new Queue(name, { connection }))
  const events = keep(new QueueEvents(name, { connection }))
  await events.waitUntilReady()
  return { queue, events }
}

test('jobs are done by several workers, each once', async () => {
  const { queue } = await queueAndEvents('plain')
  const seen = []
  const all = new Promise(resolve => {
    for (let i = 0; i < 3; i++)
      keep(new Worker('plain', async job => { seen.push(job.data.n); return job.data.n * 2 }, { connection, concurrency: 5 }))
        .on('completed', () => { if (seen.length === 60) resolve() })
  })
  await queue.addBulk(Array.from({ length: 60 }, (_, n) => ({ name: 'double', data: { n } })))
  await all
  assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 60 }, (_, n) => n))
})

test('a job answers who waits for it; one that fails is tried again, and then failed', async () => {
  const { queue, events } = await queueAndEvents('answers')
  let tries = 0
  keep(new Worker('answers', async job => {
    if (job.name === 'fails') throw new Error(`try ${++tries}`)
    await job.updateProgress(50)
    await job.log('half way')
    return { sum: job.data.a + job.data.b }
  }, { connection }))
  const job = await queue.add('sum', { a: 2, b: 3 })
  assert.deepEqual(await job.waitUntilFinished(events, 5000), { sum: 5 })
  assert.deepEqual((await queue.getJobLogs(job.id)).logs, ['half way'])
  const failing = await queue.add('fails', {}, { attempts: 3, backoff: { type: 'fixed', delay: 20 } })
  await assert.rejects(failing.waitUntilFinished(events, 5000), /try 3/)
  assert.deepEqual(await queue.getJobCounts('completed', 'failed', 'waiting', 'delayed'),
    { completed: 1, failed: 1, waiting: 0, delayed: 0 })
})

test('delays, priorities, pauses, removal', async () => {
  const { queue } = await queueAndEvents('order')
  await queue.pause()
  const begun = Date.now()
  await queue.add('late', {}, { delay: 150 })
  for (const priority of [3, 1, 2]) await queue.add(`p${priority}`, {}, { priority })
  const removed = await queue.add('removed', {}, { priority: 1 })
  await removed.remove()
  const order = []
  const worker = keep(new Worker('order', async job => { order.push(job.name) }, { connection }))
  const last = new Promise(resolve => worker.on('completed', () => { if (order.length === 4) resolve() }))
  await queue.resume()
  await last
  assert.deepEqual(order.filter(name => name !== 'late'), ['p1', 'p2', 'p3'])
  assert.ok(Date.now() - begun >= 150)
  assert.equal(await queue.getJob(removed.id), undefined)
  await queue.obliterate({ force: true })
  assert.equal(await queue.count(), 0)
})

test('a parent waits for its children', async () => {
  await queueAndEvents('children')
  const { events } = await queueAndEvents('parents')
  keep(new Worker('children', async job => job.data.n, { connection }))
  keep(new Worker('parents', async job => Object.values(await job.getChildrenValues()).reduce((a, b) => a + b), { connection }))
  const flow = keep(new FlowProducer({ connection }))
  const tree = await flow.add({ name: 'sum', queueName: 'parents',
    children: [1, 2, 3].map(n => ({ name: 'n', queueName: 'children', data: { n } })) })
  assert.equal(await tree.job.waitUntilFinished(events, 5000), 6)
})

test('limits and schedules', async () => {
  const { queue } = await queueAndEvents('limited')
  const times = []
  const worker = keep(new Worker('limited', async () => { times.push(Date.now()) }, { connection, limiter: { max: 2, duration: 100 } }))
  const done = new Promise(resolve => worker.on('completed', () => { if (times.length === 6) resolve() }))
  await queue.addBulk(Array.from({ length: 6 }, () => ({ name: 'x', data: {} })))
  await done
  assert.ok(times[5] - times[0] >= 100, `six in ${times[5] - times[0]} ms`)
  await queue.upsertJobScheduler('often', { every: 50 }, { name: 'tick' })
  await new Promise(resolve => { let n = 0; worker.on('completed', job => { if (job.name === 'tick' && ++n === 2) resolve() }) })
  assert.equal(await queue.removeJobScheduler('often'), true)
})
