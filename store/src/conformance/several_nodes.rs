//! Two handles on one store, side by side.

use onhook_core::import::Intake;
use onhook_core::order::{Kind, Status};

use crate::conformance::Opener;
use crate::conformance::fixtures::{
    account, at, clean, disconnect, in_service, lines, make_account, order, policy, run_all,
};

cases! { ($) several_nodes conformance_several_nodes:
    /// The other handle finds an order that one handle accepted, and runs it.
    async fn an_order_accepted_on_one_handle_is_run_by_the_other(opener) {
        let (one, other) = opener.open_twice().await;
        make_account(&*one, 1).await;
        one.import(lines(vec![in_service(1, 1)]), Intake::of("seed"), at(0), policy()).await.expect("imported");
        let id = one.accept(order(1, 1, disconnect([1]))).await.expect("accepted").id;
        let found = other.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(found.status, Status::Received);
        run_all(&*other, at(10)).await;
        let found = one.order(account(1), Kind::Disconnect, id).await.expect("read").expect("there");
        assert_eq!(found.status, Status::Complete);
        clean(&*one).await;
        clean(&*other).await;
    }
}
