//! Reservations of pool numbers.

use onhook_core::reservation::HELD_MS;

use crate::app::{
    IN_SERVICE, NEIGHBOUR, NEIGHBOURS, NO_NUMBER, POOL, Seed, Who, account, delete, get, post, wait_for,
    with_app, xml,
};

fn reservations() -> String {
    account("/tnreservation")
}

#[tokio::test]
async fn a_number_is_held_and_given_back() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let made = app.send(post(reservations(), xml::reservation(POOL))).await;
        golden!(app, "made", made.clone());
        let path = app.path_of(made.header("location").unwrap());
        let shown = app.send(get(&path)).await.expect(200);
        let seconds: i64 = shown.element("ReservationExpires").unwrap().parse().unwrap();
        assert!((HELD_MS / 1_000 - 60..=HELD_MS / 1_000).contains(&seconds), "{seconds}");
        let as_of = |text: &str| {
            text.replace(&format!("<ReservationExpires>{seconds}<"), "<ReservationExpires>{seconds}<")
        };
        insta::assert_snapshot!("shown", as_of(&shown.golden(app)));
        let held = app.send(get(format!("/api/tns/{POOL}"))).await;
        assert_eq!(held.element("Status"), Some("Reserved"));
        let by_number = app.send(get(format!("/api/tns/{POOL}/tnreservation"))).await.expect(200);
        assert_eq!(by_number.element("ReservedTn"), Some(POOL));
        assert!(by_number.text().contains("<TNReservation>"));
        // Another account can neither see it, nor reserve or cancel it.
        let theirs = path.replace("9900000", &NEIGHBOUR.to_string());
        for call in [get(&theirs), delete(&theirs)] {
            assert_eq!(app.send(call.by(Who::Neighbour)).await.code(), Some(5042));
        }
        let again = post(reservations().replace("9900000", &NEIGHBOUR.to_string()), xml::reservation(POOL));
        golden!(app, "not_available", app.send(again.by(Who::Neighbour)).await);

        app.send(delete(&path)).await.expect(200);
        golden!(app, "gone", app.send(get(&path)).await);
        assert_eq!(app.send(delete(&path)).await.status, 404);
        assert_eq!(app.send(get(format!("/api/tns/{POOL}"))).await.element("Status"), Some("Available"));
    })
    .await;
}

#[tokio::test]
async fn a_reservation_ends_by_itself_after_four_hours() {
    with_app(Seed::two_accounts().emulator(), async |app| {
        let made = app.send(post(reservations(), xml::reservation(POOL))).await.expect(201);
        let path = app.path_of(made.header("location").unwrap());
        app.advance(HELD_MS).await;
        wait_for("the end of the reservation", async || {
            (app.send(get(&path)).await.status == 404).then_some(())
        })
        .await;
        assert_eq!(app.send(get(format!("/api/tns/{POOL}"))).await.element("Status"), Some("Available"));
    })
    .await;
}

#[tokio::test]
async fn an_order_takes_a_number_by_its_reservation() {
    with_app(Seed::two_accounts(), async |app| {
        let made = app.send(post(reservations(), xml::reservation(POOL))).await.expect(201);
        let id = made.header("location").unwrap().rsplit('/').next().unwrap().to_owned();
        let order = |id: &str| {
            format!(
                "<Order><Name>mine</Name><ExistingTelephoneNumberOrderType><ReservationIdList><ReservationId>{id}\
                 </ReservationId></ReservationIdList></ExistingTelephoneNumberOrderType><SiteId>{}</SiteId></Order>",
                app.site
            )
        };
        let unknown = "6d7da966-e071-4741-b31c-1d8932f4b8da";
        let reply = app.send(post(account("/orders"), order(unknown))).await;
        let text = format!("Reservation {unknown} for account 9900000 not found.");
        assert_eq!(reply.error(), (400, Some(5042), text.as_str()));
        let (_, path) = app.place(post(account("/orders"), order(&id))).await;
        golden!(app, "ordered", app.ended(get(&path)).await);
        assert_eq!(app.send(get(format!("{}/{id}", reservations()))).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn only_a_pool_number_can_be_reserved_and_a_refusal_reveals_nothing() {
    with_app(Seed::two_accounts(), async |app| {
        let mut refused = Vec::new();
        for number in [IN_SERVICE[0], NEIGHBOURS, NO_NUMBER] {
            let reply = app.send(post(reservations(), xml::reservation(number))).await;
            let text = format!("Reservation failed: telephone number {number} is not available.");
            assert_eq!(reply.error(), (400, Some(5041), text.as_str()));
            refused.push(reply.text().replace(number, "{number}"));
        }
        refused.dedup();
        assert_eq!(refused.len(), 1);
        for body in ["<Reservation/>", "<Order/>"] {
            let reply = app.send(post(reservations(), body)).await;
            assert_eq!(reply.error(), (400, Some(5044), "Reservation object is invalid."));
        }
        let reply = app.send(post(reservations(), xml::reservation("12"))).await;
        assert_eq!(reply.error(), (400, Some(5070), "Telephone number is invalid."));
    })
    .await;
}
