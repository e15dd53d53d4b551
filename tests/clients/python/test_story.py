"""Does Bandwidth's own Python library, unchanged but for its base URL, get through a disconnect and back?

`cargo xtask clients` starts an emulator and sets ONHOOK_URL; by hand, with the packages of requirements.txt:
    ONHOOK_URL=http://127.0.0.1:9080 python3 -m unittest --verbose --failfast
Not here: what other clients send, and malformed requests. The server's own tests have those.
"""

import os
import time
import unittest

from bandwidth_numbers import Account, Client
from bandwidth_numbers.models.tns import Tns
from bandwidth_numbers.utils.rest import RestError
from requests import HTTPError

ACCOUNT = "9900000"
USER = "username"
PASSWORD = "password"
# In service at the account's one site when an emulator starts.
NUMBERS = ["5405514342", "7034343704"]
NOT_OURS = "5405550199"

ORDER_SETTLES_WITHIN_S = 15
LOOK_EVERY_S = 0.05

URL = os.environ.get("ONHOOK_URL")
if not URL:
    raise SystemExit("ONHOOK_URL is not set: run `cargo xtask clients`, or set it to a running emulator")


def client_with(password):
    return Client(url=URL.rstrip("/") + "/api", account_id=ACCOUNT, username=USER, password=password)


CLIENT = client_with(PASSWORD)


def account(client=CLIENT):
    """The account, as the library wants it for each request: an object keeps what it has read."""
    return Account(client=client)


def settled(look):
    """Waits until `look` no longer says RECEIVED, and gives what it says then."""
    deadline = time.monotonic() + ORDER_SETTLES_WITHIN_S
    while True:
        reply = look()
        if reply.order_status != "RECEIVED":
            return reply
        if time.monotonic() > deadline:
            raise AssertionError(f"the order is still RECEIVED after {ORDER_SETTLES_WITHIN_S} s")
        time.sleep(LOOK_EVERY_S)


def ours(numbers):
    return sorted(number for number in numbers if number in NUMBERS)


def in_service():
    return ours(account().in_service_numbers.list({"page": "1", "size": "500"}).items)


def disconnected():
    return ours(account().disconnected_numbers.list({"page": "1", "size": "500"}).items)


def disconnect_of(numbers, name):
    return account().disconnects.create(
        {
            "name": name,
            "customer_order_id": "the-python-library",
            "disconnect_telephone_number_order_type": {
                "disconnect_mode": "normal",
                "telephone_number_list": {"telephone_number": numbers},
            },
        }
    )


class Story(unittest.TestCase):
    """The tests run in the order of their names, and each starts where the one before it ended."""

    site = None
    disconnect = None
    order = None

    def test_1_both_numbers_are_in_service_at_one_site(self):
        self.assertEqual(in_service(), NUMBERS)
        self.assertEqual(disconnected(), [])
        for number in NUMBERS:
            tn = Tns(client=CLIENT).get(number)
            self.assertEqual((tn.status, tn.account_id), ("Inservice", ACCOUNT))
            details = tn.tndetails.get()
            self.assertEqual((details.full_number, details.site.name), (number, "Main site"))
        sites = account().sites.list().items
        self.assertEqual([site.name for site in sites], ["Main site"])
        Story.site = sites[0].id

    def test_2_a_disconnect_order_ends_complete(self):
        order = disconnect_of(NUMBERS, "the python library hangs up")
        self.assertEqual(order.order_status, "RECEIVED")
        self.assertEqual(order.name, "the python library hangs up")
        Story.disconnect = order.id
        reply = settled(lambda: account().disconnects.get(order.id, {"tndetail": "true"}))
        self.assertEqual(reply.order_status, "COMPLETE")
        self.assertEqual(reply.order_request.id, order.id)
        self.assertEqual(reply.order_request.customer_order_id, "the-python-library")

    def test_3_the_order_is_listed_and_takes_a_note(self):
        listed = account().disconnects.list({"page": "1", "size": "500"}).items
        entry = next(entry for entry in listed if entry.id == Story.disconnect)
        self.assertEqual((entry.order_status, entry.user_id, entry.count_of_tns), ("COMPLETE", USER, "2"))
        order = account().disconnects.create(save=False)
        order.id = Story.disconnect
        order.notes.create({"description": "They asked twice & meant it"})
        notes = order.notes.list().items
        self.assertEqual([(note.description, note.user_id) for note in notes], [("They asked twice & meant it", USER)])

    def test_4_both_numbers_have_left_service(self):
        self.assertEqual((in_service(), disconnected()), ([], NUMBERS))
        self.assertEqual(account().disconnected_numbers.totals.get().count, "2")
        for number in NUMBERS:
            self.assertEqual(Tns(client=CLIENT).get(number).status, "Aging")

    def test_5_an_ordinary_order_brings_them_back(self):
        order = account().orders.create(
            {
                "name": "the python library changed its mind",
                "site_id": Story.site,
                "existing_telephone_number_order_type": {"telephone_number_list": {"telephone_number": NUMBERS}},
            }
        )
        self.assertEqual(order.order_status, "RECEIVED")
        reply = settled(lambda: account().orders.get(order.id))
        self.assertEqual((reply.order_status, reply.completed_quantity, reply.failed_quantity), ("COMPLETE", "2", "0"))
        found = reply.completed_numbers.telephone_number.items
        self.assertEqual(ours(found), NUMBERS)
        self.assertEqual((in_service(), disconnected()), (NUMBERS, []))

    def test_6_a_number_is_searched_for_reserved_and_given_back(self):
        found = account().available_numbers.list({"areaCode": "919", "quantity": "3"}).items
        self.assertEqual(len(found), 3)
        detailed = account().available_numbers.list({"areaCode": "919", "quantity": "2", "enableTNDetail": "true"})
        self.assertEqual([tn.rate_center for tn in detailed.items], ["RALEIGH"] * 2)
        reservation = account().tnreservation
        reservation.reserved_tn = found[0]
        reservation.save()
        id = reservation.id
        read = account().tnreservation.get(id)
        self.assertEqual((read.reserved_tn, read.account_id), (found[0], ACCOUNT))
        self.assertTrue(read.delete())

    def test_7_sites_and_peers_are_made_changed_and_removed(self):
        site = account().sites.create({"name": "Python site", "description": "Made by a test"})
        self.assertEqual(account().sites.get(site.id).name, "Python site")
        peer = site.sip_peers.create({"peer_name": "Python peer", "is_default_peer": "true"})
        self.assertEqual([peer.peer_name for peer in site.sip_peers.list().items], ["Python peer"])
        self.assertEqual(site.totaltns.get().total_count, "0")
        site.name = "Another site"
        site.save()
        self.assertEqual(account().sites.get(site.id).name, "Another site")
        self.assertTrue(peer.delete())
        self.assertTrue(site.delete())
        self.assertEqual([site.name for site in account().sites.list().items], ["Main site"])

    def test_8_subscriptions_tell_a_url_or_a_mailbox(self):
        url = "http://127.0.0.1:9/told"
        callback = account().subscriptions.create(
            {"order_type": "disconnects", "callback_subscription": {"url": url, "expiry": "3600"}}
        )
        mail = account().subscriptions.create(
            {"order_type": "orders", "email_subscription": {"email": "ops@example.com", "digest_requested": "NONE"}}
        )
        listed = {subscription.id: subscription for subscription in account().subscriptions.list().items}
        self.assertEqual(set(listed), {callback.id, mail.id})
        self.assertEqual(listed[callback.id].callback_subscription.url, url)
        self.assertEqual(listed[mail.id].email_subscription.email, "ops@example.com")
        for subscription in (callback, mail):
            self.assertTrue(subscription.delete())

    def test_9_what_is_wrong_is_an_error(self):
        order = disconnect_of([NOT_OURS], "not ours to end")
        reply = settled(lambda: account().disconnects.get(order.id))
        self.assertEqual(reply.order_status, "FAILED")
        self.assertEqual([error.code for error in reply.error_list.error.items], ["5006"])
        with self.assertRaises(RestError):
            account().disconnects.get("no-order")
        with self.assertRaises(HTTPError) as refused:
            account(client_with("Password")).sites.list()  # they are case sensitive
        self.assertEqual(refused.exception.response.status_code, 401)
        self.assertEqual(in_service(), NUMBERS)


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
