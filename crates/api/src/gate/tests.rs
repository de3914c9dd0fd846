use super::*;

fn gates(look: Room) -> Arc<Gates> {
    Arc::new(Gates::new(Rooms { look, answer_bytes: 100_000, ..Rooms::for_cores(1) }))
}

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn some_work_some_wait_and_the_rest_is_refused_at_once() {
    let gates = gates(Room { at_once: 1, waiting: 1, patience: LONG });
    let first = gates.enter(Class::Look).await.unwrap();
    assert_eq!(gates.look(Class::Look), Ok(()), "one may wait");
    let second = tokio::spawn({
        let gates = Arc::clone(&gates);
        async move { gates.enter(Class::Look).await.map(drop) }
    });
    while gates.look(Class::Look).is_ok() {
        tokio::task::yield_now().await;
    }
    let third = gates.enter(Class::Look).await.unwrap_err();
    assert_eq!((third.class, third.reason), (Class::Look, Reason::Full));
    assert!(gates.enter(Class::Change).await.is_ok(), "other classes have their own room");
    assert!(gates.enter(Class::Free).await.is_ok());
    assert!(!second.is_finished());
    drop(first);
    second.await.unwrap().unwrap();
    assert_eq!(gates.look(Class::Look), Ok(()));
}

#[tokio::test]
async fn who_waits_too_long_is_refused_and_leaves_the_queue() {
    let gates = gates(Room { at_once: 1, waiting: 1, patience: SHORT });
    let _first = gates.enter(Class::Look).await.unwrap();
    for _ in 0..3 {
        assert_eq!(gates.enter(Class::Look).await.unwrap_err().reason, Reason::Late);
    }
}

#[tokio::test]
async fn who_gives_up_leaves_the_queue() {
    let gates = gates(Room { at_once: 1, waiting: 1, patience: LONG });
    let _first = gates.enter(Class::Look).await.unwrap();
    let entering = gates.enter(Class::Look);
    assert!(tokio::time::timeout(SHORT, entering).await.is_err());
    assert_eq!(gates.look(Class::Look), Ok(()));
}

#[tokio::test]
async fn answers_count_until_their_last_byte_is_taken() {
    let gates = gates(Room { at_once: 1, waiting: 1, patience: LONG });
    let mut response = gates.counted(Response::new(Body::from(vec![b'x'; 100_000])));
    assert_eq!(response.headers()["content-length"], "100000", "clients want it, as Ironic sends it");
    assert_eq!(gates.answers.used(), 0);
    let data = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(data.len(), 100_000);
    assert_eq!(gates.look(Class::Look).unwrap_err().reason, Reason::Memory);
    assert_eq!(gates.look(Class::Machine), Ok(()), "machines get no large answers");
    let rest = data.slice(50..);
    drop(data);
    assert_eq!(gates.answers.used(), 100_000);
    drop(rest);
    assert_eq!(gates.answers.used(), 0);
    assert_eq!(gates.look(Class::Look), Ok(()));
}

#[test]
fn a_budget_gives_no_more_than_it_has_and_takes_all_back() {
    let budget = Arc::new(Budget::new(10));
    let mut held = Held::nothing(&budget);
    assert!(held.grow(6));
    assert!(!held.grow(5));
    let mut other = Held::nothing(&budget);
    assert!(other.grow(4) && !other.grow(1) && !other.grow(usize::MAX));
    drop(held);
    assert!(other.grow(6));
    drop(other);
    assert_eq!(budget.used(), 0);
}
