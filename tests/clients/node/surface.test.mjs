// Does the rest of Bandwidth's own npm client that has to do with a number's life work against onhook?
//
// One story after another on the emulator's account; each puts back what it changed. Run like
// `disconnect.test.mjs`, which is about a disconnect and its way back. Not here: what the client offers
// for ports, messaging and emergency calls, which onhook does not have.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import bandwidth from '@bandwidth/numbers';

const {
  Account, AvailableNpaNxx, AvailableNumbers, City, Client, CoveredRateCenter, DiscNumber, Disconnect,
  InServiceNumber, Order, RateCenter, SipPeer, Site, Subscription, Tn, TnReservation, User,
} = bandwidth;

const ACCOUNT = '9900000';
const USER = 'username';
const SETTLES_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 50;
const options = { timeout: 60_000 };

const url = process.env.ONHOOK_URL;
assert.ok(url, 'ONHOOK_URL is not set: run `cargo xtask clients`, or set it to a running emulator');
const client = new Client(ACCOUNT, USER, 'password', undefined, undefined, {
  apiEndPoint: `${url.replace(/\/+$/, '')}/api`,
});

const ADDRESS = {
  houseNumber: '900', streetName: 'Main Campus Drive', city: 'Raleigh', stateCode: 'NC', zip: '27615',
  country: 'United States', addressType: 'Service',
};

/** Waits until `look` gives something. */
async function until(what, look) {
  const deadline = Date.now() + SETTLES_WITHIN_MS;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    assert.ok(Date.now() < deadline, `${what}: not within ${SETTLES_WITHIN_MS} ms`);
    await sleep(LOOK_EVERY_MS);
  }
}

const all = (elements) => (elements === undefined ? [] : [elements].flat());
const firstSite = async () => (await Site.listAsync(client))[0];

/** The order as it is once it has run. The client has the id from what was received: a GET may have none. */
async function ordered(order) {
  const { order: received } = await Order.createAsync(client, order);
  const reply = await until('the order ran', async () => {
    const seen = await Order.getAsync(client, received.id);
    return seen.orderStatus !== 'RECEIVED' && seen;
  });
  return { ...reply, order: Object.assign(reply.order, { id: received.id }) };
}

const numbersOf = (reply) => all(reply.completedNumbers.telephoneNumber).map(({ fullNumber }) => String(fullNumber));

/** Ends what a story has taken from the pool. */
async function disconnected(numbers) {
  const { orderRequest } = await Disconnect.createAsync(client, 'the story is over', numbers);
  await until('the disconnect ran', async () => {
    const seen = await Disconnect.getAsync(client, orderRequest.id, {});
    return seen.orderStatus === 'COMPLETE';
  });
}

test('the pool is searched, and an order takes what a search finds', options, async () => {
  const found = await AvailableNumbers.listAsync(client, { areaCode: '415', quantity: 2 });
  assert.equal(found.resultCount, 2);
  assert.ok(all(found.telephoneNumberList.telephoneNumber).every((number) => String(number).startsWith('415')));
  const detailed = await AvailableNumbers.listAsync(client, { areaCode: '415', quantity: 1, enableTNDetail: true });
  assert.equal(detailed.telephoneNumberDetailList.telephoneNumberDetail.state, 'CA');
  const exchanges = all(await AvailableNpaNxx.listAsync(client, { areaCode: '415' }));
  assert.ok(exchanges.some(({ npa, nxx, quantity }) => npa === 415 && nxx === 555 && quantity > 0));

  const site = await firstSite();
  const reply = await ordered({
    name: 'the npm client searches',
    areaCodeSearchAndOrderType: { areaCode: '415', quantity: 2 },
    siteId: site.id,
  });
  assert.equal(reply.orderStatus, 'COMPLETE');
  const numbers = numbersOf(reply);
  assert.equal(numbers.length, 2);
  const { order } = reply;
  assert.deepEqual(all((await order.getTnsAsync()).telephoneNumber).map(String).sort(), [...numbers].sort());
  assert.deepEqual(await order.getAreaCodesAsync(), [{ areaCode: 415, count: 2 }]);
  assert.deepEqual(await order.getNpaNxxAsync(), [{ 'nPA-NXX': 415555, count: 2 }]);
  assert.deepEqual(await order.getTotalsAsync(), [{ count: 2 }]);
  assert.equal((await order.getHistoryAsync())[0].status, 'COMPLETE');
  const note = await order.addNoteAsync({ userId: USER, description: 'found by area code' });
  assert.deepEqual(await order.getNotesAsync(), [note]);
  const listed = all((await Order.listAsync(client, {})).listOrderIdUserIdDate.orderIdUserIdDate);
  assert.ok(listed.some(({ orderId }) => orderId === order.id));
  const atSite = all((await site.getOrdersAsync({ page: 1, size: 30 })).listOrderIdUserIdDate.orderIdUserIdDate);
  assert.ok(atSite.some(({ orderId }) => orderId === order.id));
  await disconnected(numbers);
});

test('an order waits for numbers until it is closed', options, async () => {
  const site = await firstSite();
  const waiting = await ordered({
    name: 'the npm client waits',
    backOrderRequested: true,
    areaCodeSearchAndOrderType: { areaCode: '907', quantity: 1 },
    siteId: site.id,
  });
  assert.equal(waiting.orderStatus, 'BACKORDERED');
  await waiting.order.updateAsync({ customerOrderId: 'it waits', closeOrder: true });
  const { code } = await Order.getAsync(client, waiting.order.id).then(() => ({}), (error) => error);
  assert.equal(code, 5018, 'the client makes an error of an order with one `Error` in it');
});

test('a number is reserved, looked at, and given back', options, async () => {
  const [number] = all(
    (await AvailableNumbers.listAsync(client, { areaCode: '212', quantity: 1 })).telephoneNumberList.telephoneNumber,
  );
  const reservation = await TnReservation.createAsync(client, { reservedTn: number });
  assert.equal(String(reservation.reservedTn), String(number));
  assert.ok(reservation.reservationExpires > 14_000 && reservation.reservationExpires <= 14_400);
  assert.equal((await Tn.getAsync(client, number)).status, 'Reserved');
  await assert.rejects(TnReservation.createAsync(client, { reservedTn: number }), { status: 400 });
  await reservation.deleteAsync();
  assert.equal((await Tn.getAsync(client, number)).status, 'Available');
});

test('numbers are listed and looked at', options, async () => {
  const listed = await Tn.listAsync(client, { accountId: ACCOUNT, status: 'Inservice' });
  assert.ok(listed.telephoneNumberCount >= 2);
  const [one] = listed.telephoneNumbers.telephoneNumber;
  assert.equal(one.status, 'Inservice');
  const tn = await Tn.getAsync(client, one.fullNumber);
  assert.equal((await tn.getTnDetailsAsync()).fullNumber, one.fullNumber);
  const site = await firstSite();
  assert.equal((await tn.getSitesAsync()).id, site.id);
  assert.ok((await tn.getSipPeersAsync()).id);
  assert.ok((await InServiceNumber.totalsAsync(client)).count >= 2);
  assert.ok(Number.isInteger((await DiscNumber.totalsAsync(client)).count));
  assert.ok((await site.getTotalTnsAsync()).siteTNs.totalCount >= 2);
  assert.ok((await site.getInserviceNumbersAsync()).totalCount >= 2);
});

test('the account and its users can be looked at', options, async () => {
  const account = await Account.getAsync(client);
  assert.equal(String(account.accountId), ACCOUNT);
  const users = await User.listAsync(client);
  assert.ok(all(users).some(({ username }) => username === USER));
});

test('sites and peers are made, changed and removed, and numbers move between peers', options, async () => {
  const site = await Site.createAsync(client, { name: 'Second site', description: 'for a while', address: ADDRESS });
  assert.equal(site.name, 'Second site');
  await site.updateAsync({ name: 'Renamed site', address: ADDRESS });
  assert.equal((await Site.getAsync(client, site.id)).name, 'Renamed site');
  const make = (peerName, isDefaultPeer) =>
    SipPeer.createAsync(client, {
      siteId: site.id, peerName, isDefaultPeer, shortMessagingProtocol: 'SIP',
      voiceHosts: { host: [{ hostName: '198.51.100.7' }] },
      terminationHosts: { terminationHost: [{ hostName: '198.51.100.7', port: 5060 }] },
    });
  const first = await make('First peer', true);
  const second = await make('Second peer', false);
  assert.deepEqual((await SipPeer.listAsync(client, site.id)).map(({ peerName }) => peerName), ['First peer', 'Second peer']);

  const reply = await ordered({
    name: 'the npm client moves', stateSearchAndOrderType: { state: 'NY', quantity: 1 }, siteId: site.id,
  });
  const [number] = numbersOf(reply);
  assert.deepEqual((await first.getTnsAsync()).map(({ fullNumber }) => String(fullNumber)), [number]);
  await second.moveTnsAsync([number]);
  const { moveTnsOrder } = await Account.moveTnsAsync(client, {
    siteId: site.id, sipPeerId: first.id, telephoneNumbers: [{ telephoneNumber: number }],
  });
  const moved = await until('the move ran', async () => {
    const seen = await Account.getMoveTnsOrderAsync(client, moveTnsOrder.orderId);
    return seen.processingStatus !== 'RECEIVED' && seen;
  });
  assert.equal(moved.processingStatus, 'COMPLETE');
  assert.equal((await Account.getMoveTnsOrderHistoryAsync(client, moveTnsOrder.orderId)).orderHistory.status, 'COMPLETE');
  assert.ok((await Account.getMoveTnsOrdersAsync(client)).totalCount >= 1);
  await second.moveTnsAsync([number]);
  assert.equal(String((await second.getTnsAsync(number)).fullNumber), number);
  await assert.rejects(second.deleteAsync(), { status: 409 }, 'a peer with numbers stays');
  await disconnected([number]);
  await second.deleteAsync();
  await first.deleteAsync();
  await site.deleteAsync();
  await assert.rejects(Site.getAsync(client, site.id), { status: 404 });
});

test('a subscriber is told of the orders that end', options, async (t) => {
  const told = [];
  const receiver = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (piece) => (body += piece)).on('end', () => {
      told.push({ type: request.headers['content-type'], body });
      response.writeHead(200).end();
    });
  });
  await new Promise((listening) => receiver.listen(0, '127.0.0.1', listening));
  t.after(() => receiver.close());
  const address = `http://127.0.0.1:${receiver.address().port}/orders`;

  const subscription = await Subscription.createAsync(client, {
    orderType: 'orders', callbackSubscription: { URL: address, expiry: 3600 },
  });
  assert.equal(subscription.orderType, 'orders');
  assert.ok((await Subscription.listAsync(client)).some(({ id }) => id === subscription.id));
  await subscription.updateAsync({ orderType: 'orders', callbackSubscription: { URL: address, expiry: 7200 } });

  const site = await firstSite();
  const reply = await ordered({
    name: 'the npm client listens', areaCodeSearchAndOrderType: { areaCode: '415', quantity: 1 }, siteId: site.id,
  });
  const [number] = numbersOf(reply);
  const one = await until('the notification', () => told.find(({ body }) => body.includes(reply.order.id)));
  assert.match(one.type, /^application\/xml/);
  assert.match(one.body, /<Status>COMPLETE<\/Status>/);
  assert.match(one.body, new RegExp(`<CompletedTelephoneNumbers><TelephoneNumber>${number}<`));
  await disconnected([number]);
  assert.equal(told.filter(({ body }) => body.includes(reply.order.id)).length, 1, 'once');
  await subscription.deleteAsync();
  await assert.rejects(Subscription.getAsync(client, subscription.id), { status: 404 });
});

test('rate centers and cities are listed where they are known', options, async () => {
  const centers = await RateCenter.listAsync(client, { state: 'NC', available: true });
  assert.ok(centers.every(({ abbreviation }) => abbreviation), JSON.stringify(centers));
  const cities = all(await City.listAsync(client, { state: 'NC', available: true }));
  assert.ok(cities.every(({ name }) => name), JSON.stringify(cities));
  const covered = await CoveredRateCenter.listAsync(client, { page: 1, size: 10, state: 'NC' });
  assert.ok(Array.isArray(covered));
});
