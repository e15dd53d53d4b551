//! The pages of problems.

use crate::app::{Seed, Who, get, with_app};

#[tokio::test]
async fn a_problem_leads_to_a_page_that_says_what_it_means() {
    with_app(Seed::two_accounts(), async |app| {
        let reply = app.send(get("/ops/v1/numbers?nothing=1")).await.expect(400);
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let page = app.send(get(problem["type"].as_str().unwrap()).by(Who::Nobody)).await.expect(200);
        assert!(page.text().contains(problem["title"].as_str().unwrap()), "{}", page.text());
        app.send(get("/ops/problems/no_such_code").by(Who::Nobody)).await.expect(404);
    })
    .await;
}
