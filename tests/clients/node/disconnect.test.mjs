// Does Bandwidth's own npm client, unchanged but for its base URL, get through a disconnect and back?
//
// `cargo xtask clients` starts an emulator and sets ONHOOK_URL; by hand:
//   ONHOOK_URL=http://127.0.0.1:9080 npm test
// Not here: what other clients send, and malformed requests. The server's own tests have those.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import bandwidth from '@bandwidth/numbers';

// The client makes an `…Async` function beside each one that takes a callback.
const { Client, Disconnect, DiscNumber, InServiceNumber, Order, Tn } = bandwidth;

const ACCOUNT = '9900000';
const USER = 'username';
const PASSWORD = 'password';
const NUMBERS = ['5405514342', '7034343704']; // in service at the account's one site when an emulator starts
const NOT_OURS = '5405550199';

const ORDER_SETTLES_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 50;
const TEST_ENDS_WITHIN_MS = 60_000;

const url = process.env.ONHOOK_URL;
assert.ok(url, 'ONHOOK_URL is not set: run `cargo xtask clients`, or set it to a running emulator');

const clientWith = (password) =>
  new Client(ACCOUNT, USER, password, undefined, undefined, { apiEndPoint: `${url.replace(/\/+$/, '')}/api` });
const client = clientWith(PASSWORD);

/** Waits until `look` no longer says RECEIVED, and gives what it says then. */
async function settled(look) {
  const deadline = Date.now() + ORDER_SETTLES_WITHIN_MS;
  for (;;) {
    const reply = await look();
    if (reply.orderStatus !== 'RECEIVED') return reply;
    assert.ok(Date.now() < deadline, `the order is still RECEIVED after ${ORDER_SETTLES_WITHIN_MS} ms`);
    await sleep(LOOK_EVERY_MS);
  }
}

/** The client gives one element as itself, several as an array, and none as undefined. */
const all = (elements) => (elements === undefined ? [] : [elements].flat());

const ours = (numbers) => numbers.filter((number) => NUMBERS.includes(number)).sort();
const inService = async () =>
  ours(all((await InServiceNumber.listAsync(client, {})).telephoneNumbers.telephoneNumber));
const disconnected = async () => ours(all((await DiscNumber.listAsync(client, {})).telephoneNumber));
const howManyDisconnected = async () => (await DiscNumber.totalsAsync(client)).count;
const disconnectsListed = async () =>
  all((await Disconnect.listAsync(client, {})).listOrderIdUserIdDate.orderIdUserIdDate);

test('a disconnected number can be had back by its former account', { timeout: TEST_ENDS_WITHIN_MS }, async (t) => {
  // Each step starts where the one before it ended, so the first that fails ends the story.
  let failed = false;
  const step = (sentence, run) =>
    t.test(sentence, { skip: failed && 'an earlier step failed' }, async () => {
      try {
        await run();
      } catch (error) {
        failed = true;
        throw error;
      }
    });

  let site;
  let disconnect;
  let reconnect;
  const before = await howManyDisconnected();

  await step('both numbers are in service at first', async () => {
    assert.deepEqual(await inService(), NUMBERS);
    for (const number of NUMBERS) {
      await InServiceNumber.getAsync(client, number);
      const tn = await Tn.getAsync(client, number);
      assert.equal(tn.telephoneNumber, number);
      assert.equal(tn.status, 'Inservice');
      site ??= tn.siteId;
      assert.equal(tn.siteId, site, 'the two numbers are at one site');
    }
    assert.ok(Number.isInteger(site), `the site's id is a whole number, not ${site}`);
    assert.deepEqual(await disconnected(), []);
  });

  await step('a disconnect order is received under its name', async () => {
    const reply = await Disconnect.createAsync(client, 'the npm client hangs up', NUMBERS);
    const { orderRequest } = reply;
    assert.equal(reply.orderStatus, 'RECEIVED');
    assert.equal(orderRequest.name, 'the npm client hangs up');
    assert.match(orderRequest.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.ok(orderRequest.orderCreateDate instanceof Date, 'the creation date reads as a date');
    const { telephoneNumberList } = orderRequest.disconnectTelephoneNumberOrderType;
    assert.deepEqual(telephoneNumberList.telephoneNumber, NUMBERS);
    disconnect = Object.assign(new Disconnect(), { client, id: orderRequest.id });
  });

  await step('the disconnect order ends COMPLETE with both numbers', async () => {
    const reply = await settled(() => Disconnect.getAsync(client, disconnect.id, { tndetail: true }));
    assert.equal(reply.orderStatus, 'COMPLETE');
    assert.equal(reply.orderRequest.id, disconnect.id);
    assert.deepEqual(ours(all(reply.disconnectedTelephoneNumberList.telephoneNumber)), NUMBERS);
  });

  await step('the disconnect order is in the list of disconnects', async () => {
    const entry = (await disconnectsListed()).find(({ orderId }) => orderId === disconnect.id);
    assert.ok(entry, `order ${disconnect.id} is not in the list`);
    assert.equal(entry.orderType, 'disconnect');
    assert.equal(entry.orderStatus, 'COMPLETE');
    assert.equal(entry.countOfTNs, NUMBERS.length);
    assert.equal(entry.userId, USER);
  });

  await step('a note on the disconnect order can be read back', async () => {
    const note = await disconnect.addNoteAsync({ userId: USER, description: 'They asked twice & meant it' });
    assert.equal(note.description, 'They asked twice & meant it');
    assert.equal(note.userId, USER);
    assert.ok(note.lastDateModifier instanceof Date, 'the date of the note reads as a date');
    assert.deepEqual(await disconnect.getNotesAsync(), [note]);
  });

  await step('both numbers are among the disconnected ones', async () => {
    assert.deepEqual(await disconnected(), NUMBERS);
    assert.equal(await howManyDisconnected(), before + NUMBERS.length);
  });

  await step('neither number is in service any more', async () => {
    assert.deepEqual(await inService(), []);
    for (const number of NUMBERS) {
      await assert.rejects(InServiceNumber.getAsync(client, number), { status: 404 });
      assert.equal((await Tn.getAsync(client, number)).status, 'Aging');
    }
  });

  await step('an ordinary order for the aging numbers is received', async () => {
    const reply = await Order.createAsync(client, {
      name: 'the npm client changed its mind',
      existingTelephoneNumberOrderType: { telephoneNumberList: { telephoneNumber: NUMBERS } },
      siteId: site,
    });
    assert.equal(reply.orderStatus, 'RECEIVED');
    assert.equal(reply.order.siteId, site);
    reconnect = reply.order;
  });

  await step('the order ends COMPLETE with both numbers', async () => {
    const reply = await settled(() => Order.getAsync(client, reconnect.id));
    assert.equal(reply.orderStatus, 'COMPLETE');
    assert.equal(reply.completedQuantity, NUMBERS.length);
    assert.equal(reply.failedQuantity, 0);
    assert.deepEqual(ours(all(reply.completedNumbers.telephoneNumber).map((tn) => tn.fullNumber)), NUMBERS);
  });

  await step('both numbers are in service again at their site', async () => {
    assert.deepEqual(await inService(), NUMBERS);
    for (const number of NUMBERS) {
      await InServiceNumber.getAsync(client, number);
      const tn = await Tn.getAsync(client, number);
      assert.equal(tn.status, 'Inservice');
      assert.equal(tn.siteId, site);
    }
  });

  await step('neither number is among the disconnected ones any more', async () => {
    assert.deepEqual(await disconnected(), []);
    assert.equal(await howManyDisconnected(), before);
  });
});

test("a number that isn't ours fails with 5006", { timeout: TEST_ENDS_WITHIN_MS }, async () => {
  const reply = await Disconnect.createAsync(client, 'not ours to end', [NOT_OURS]);
  assert.equal(reply.orderStatus, 'RECEIVED', 'whose the number is, is judged when the order runs');
  const { id } = reply.orderRequest;

  // The client makes an error of an order with one `Error` in it, although the reply is a 200.
  await assert.rejects(settled(() => Disconnect.getAsync(client, id, {})), {
    code: 5006,
    message: 'Telephone number could not be disconnected since it is not associated with your account',
    httpStatus: 200,
  });
  const entry = (await disconnectsListed()).find(({ orderId }) => orderId === id);
  assert.equal(entry?.orderStatus, 'FAILED');
});

test('a wrong password is refused with 401', { timeout: TEST_ENDS_WITHIN_MS }, async () => {
  const stranger = clientWith('Password'); // they are case sensitive
  const before = await inService();
  await assert.rejects(Disconnect.listAsync(stranger, {}), { status: 401 });
  await assert.rejects(Disconnect.createAsync(stranger, 'not mine to order', NUMBERS), { status: 401 });
  assert.deepEqual(await inService(), before);
});
