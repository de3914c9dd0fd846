//! `bmc`'s IPMI client against the simulator, on bad days: each its own error, none beyond its limit.

use crate::rack::{PASSWORD, Rack, USER, quick};
use bmc::ipmi::{IpmiBmc, Limits};
use bmc::{Bmc, BmcError, PowerAction, PowerState};
use lab::chassis::Control;
use lab::ipmi_sim::{Config, WrongReply, administrator};
use serde_json::json;
use std::time::{Duration, Instant};
use wire::ipmi::CompletionCode;

/// What a call gives, having checked that it ended within its limit.
async fn timed<T>(call: impl Future<Output = Result<T, BmcError>>) -> Result<T, BmcError> {
    let started = Instant::now();
    let outcome = call.await;
    let limit = quick().overall + Duration::from_millis(400);
    assert!(started.elapsed() < limit, "{:?} is beyond the limit", started.elapsed());
    outcome
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_tried_once() {
    for suite in [3, 17] {
        let rack = Rack::new();
        let bmc = rack.bmc(json!({"ipmi_password": "hobbes", "ipmi_cipher_suite": suite}));
        let started = Instant::now();
        let error = bmc.power_state().await.unwrap_err();
        assert!(started.elapsed() < quick().overall / 2);
        assert!(
            matches!(&error, BmcError::WrongCredentials { user, detail, .. } if user == USER && detail.contains("password")),
            "{error}"
        );
        assert!(!error.to_string().contains("hobbes"), "{error}");
        assert!(!error.is_transient());
        assert_eq!(rack.sim.received(), 3, "capabilities, open session, RAKP 1");
    }
}

#[tokio::test]
async fn a_wrong_user_is_told_at_once() {
    let rack = Rack::new();
    let error = timed(rack.bmc(json!({"ipmi_username": "root"})).power_state()).await.unwrap_err();
    assert!(
        matches!(&error, BmcError::WrongCredentials { user, detail, .. } if user == "root" && detail.contains("no such user")),
        "{error}"
    );
}

#[tokio::test]
async fn a_dead_bmc_is_unreachable_within_the_limit() {
    let rack = Rack::new();
    rack.sim.set_faults(|f| f.is_dead = true);
    let error = timed(rack.bmc(json!({})).power_state()).await.unwrap_err();
    let BmcError::Unreachable { attempts, address, .. } = &error else { panic!("{error}") };
    assert!(*attempts > 3 && address.ends_with(&rack.port().to_string()), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_says_so() {
    let port = {
        let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        unused.local_addr().unwrap().port()
    };
    let rack = Rack::new();
    let error = timed(rack.bmc(json!({"ipmi_port": port})).power_state()).await.unwrap_err();
    assert!(matches!(&error, BmcError::Unreachable { detail, .. } if detail.contains("refused")), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_unreachable() {
    let rack = Rack::new();
    let error = timed(rack.bmc(json!({"ipmi_address": "bmc.invalid"})).power_state()).await.unwrap_err();
    assert!(matches!(&error, BmcError::Unreachable { detail, .. } if detail.contains("name")), "{error}");
}

#[tokio::test]
async fn a_bmc_that_dies_mid_way_times_out_or_is_unreachable_and_comes_back() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    bmc.power_state().await.unwrap();
    rack.sim.set_faults(|f| f.is_dead = true);
    let error = timed(bmc.power_state()).await.unwrap_err();
    assert!(matches!(error, BmcError::Unreachable { .. }), "{error}");
    rack.sim.set_faults(|f| f.is_dead = false);
    assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::Off);
}

#[tokio::test]
async fn lost_packets_are_sent_again_and_deeds_are_done_once() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    rack.sim.set_faults(|f| f.lose_next = 2);
    timed(bmc.set_power(PowerAction::On)).await.unwrap();
    rack.sim.set_faults(|f| f.lose_next_answers = 1);
    timed(bmc.set_power(PowerAction::Reset)).await.unwrap();
    assert_eq!(
        rack.deeds(),
        [Control::PowerUp, Control::HardReset],
        "the repeated packet is no second reset"
    );
}

#[tokio::test]
async fn each_handshake_message_may_be_lost_once() {
    for lost in 0..6 {
        let rack = Rack::new();
        let bmc = rack.bmc(json!({"ipmi_cipher_suite": 17}));
        let watched = rack.sim.clone();
        let loser = tokio::spawn(async move {
            crate::client::wait_until(|| watched.received() >= lost).await;
            watched.set_faults(|f| f.lose_next_answers = 1);
        });
        assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::Off, "after {lost}");
        loser.await.unwrap();
    }
}

#[tokio::test]
async fn doubled_and_noisy_answers_do_no_harm() {
    let rack = Rack::new();
    rack.sim.set_faults(|f| {
        f.doubles = true;
        f.precedes_with_noise = true;
    });
    let bmc = rack.bmc(json!({}));
    for action in [PowerAction::On, PowerAction::Reset, PowerAction::Off] {
        timed(bmc.set_power(action)).await.unwrap();
    }
    assert_eq!(rack.deeds().len(), 3);
}

#[tokio::test]
async fn damaged_answers_are_a_bad_packet() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    bmc.power_state().await.unwrap();
    rack.sim.set_faults(|f| f.damages = true);
    let error = timed(bmc.power_state()).await.unwrap_err();
    assert!(matches!(error, BmcError::BadPacket { .. }), "{error}");
    rack.sim.set_faults(|f| f.damages = false);
    assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::Off);
}

#[tokio::test]
async fn a_replayed_answer_is_not_believed() {
    let rack = Rack::new();
    let limits = Limits { tries_in_kept_session: 1000, ..quick() };
    let bmc = IpmiBmc::new(rack.settings(json!({})), limits);
    assert_eq!(bmc.power_state().await.unwrap(), PowerState::Off);
    rack.sim.set_faults(|f| f.replays = true);
    *rack.machine.is_on.lock().unwrap() = true;
    let error = timed(bmc.power_state()).await.unwrap_err();
    assert!(
        matches!(&error, BmcError::BadPacket { problem, .. } if problem.contains("replayed")),
        "the old answer said off: {error}"
    );
}

#[tokio::test]
async fn a_dropped_session_is_opened_again_without_the_caller_noticing() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    bmc.set_power(PowerAction::On).await.unwrap();
    rack.sim.forget_sessions();
    assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::On);
    assert_eq!(rack.sim.open_sessions(), 1);
}

#[tokio::test]
async fn a_session_that_idled_away_is_probed_before_a_reset() {
    let rack = Rack::new();
    let limits = Limits { trust: Duration::ZERO, ..quick() };
    let bmc = IpmiBmc::new(rack.settings(json!({})), limits);
    bmc.set_power(PowerAction::On).await.unwrap();
    rack.sim.forget_sessions();
    timed(bmc.set_power(PowerAction::Reset)).await.unwrap();
    assert_eq!(rack.deeds(), [Control::PowerUp, Control::HardReset]);
}

#[tokio::test]
async fn a_reset_that_may_have_happened_is_not_sent_twice() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    bmc.set_power(PowerAction::On).await.unwrap();
    rack.sim.set_faults(|f| f.lose_next_answers = 1000);
    let error = timed(bmc.set_power(PowerAction::Reset)).await.unwrap_err();
    assert!(error.to_string().contains("look at the power state"), "{error}");
    assert_eq!(rack.deeds(), [Control::PowerUp, Control::HardReset]);
}

#[tokio::test]
async fn a_slow_bmc_answers_within_the_limit() {
    let rack = Rack::new();
    rack.sim.set_faults(|f| f.delay = Duration::from_millis(100));
    let bmc = rack.bmc(json!({"ipmi_cipher_suite": 3}));
    assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::Off);
}

#[tokio::test]
async fn a_refused_command_tells_its_code() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    let error = bmc.set_power(PowerAction::Cycle).await.unwrap_err();
    assert!(
        matches!(&error, BmcError::Refused { completion, .. } if *completion == CompletionCode::WRONG_STATE),
        "{error}"
    );
    let error = bmc.send_raw(0x2c, 0x3e, vec![]).await.unwrap_err();
    assert!(error.to_string().contains("0xc1 (invalid command"), "{error}");
    let error = bmc.send_raw(0x07, 0x01, vec![]).await.unwrap_err();
    assert!(matches!(error, BmcError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_busy_bmc_is_asked_again() {
    let rack = Rack::new();
    let busy = |times| WrongReply {
        netfn: 0x00,
        command: 0x01,
        completion: CompletionCode::BUSY,
        data: vec![],
        times,
    };
    rack.sim.set_faults(|f| f.wrong_reply = Some(busy(2)));
    let bmc = rack.bmc(json!({}));
    assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::Off);
    rack.sim.set_faults(|f| f.wrong_reply = Some(busy(u32::MAX)));
    let error = timed(bmc.power_state()).await.unwrap_err();
    assert!(matches!(error, BmcError::Refused { .. }) && error.is_transient(), "{error}");
}

#[tokio::test]
async fn an_answer_too_short_to_mean_anything_is_a_bad_packet() {
    let rack = Rack::new();
    rack.sim.set_faults(|f| {
        f.wrong_reply = Some(WrongReply {
            netfn: 0x00,
            command: 0x01,
            completion: CompletionCode::OK,
            data: vec![0x01],
            times: 1,
        });
    });
    let error = timed(rack.bmc(json!({})).power_state()).await.unwrap_err();
    assert!(matches!(error, BmcError::BadPacket { .. }), "{error}");
}

#[tokio::test]
async fn a_bmc_without_a_free_session_says_so_and_takes_us_when_one_ends() {
    let config = Config { max_sessions: 1, ..Config::new(administrator(USER, PASSWORD)) };
    let rack = Rack::with(config);
    let first = rack.bmc(json!({}));
    first.power_state().await.unwrap();
    let second = rack.bmc(json!({}));
    let error = timed(second.power_state()).await.unwrap_err();
    assert!(matches!(error, BmcError::NoFreeSession { .. }), "{error}");
    drop(first);
    assert_eq!(timed(second.power_state()).await.unwrap(), PowerState::Off);
}

#[tokio::test]
async fn callers_behind_a_dead_bmc_wait_no_longer_than_their_own_limit() {
    let rack = Rack::new();
    rack.sim.set_faults(|f| f.is_dead = true);
    let bmc = std::sync::Arc::new(rack.bmc(json!({})));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let bmc = bmc.clone();
        calls.spawn(async move { timed(bmc.power_state()).await });
    }
    while let Some(outcome) = calls.join_next().await {
        assert!(outcome.unwrap().unwrap_err().is_transient());
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_session_in_order() {
    let rack = Rack::new();
    let bmc = rack.bmc(json!({}));
    bmc.power_state().await.unwrap();
    rack.sim.set_faults(|f| f.delay = Duration::from_millis(30));
    for _ in 0..3 {
        let cut = tokio::time::timeout(Duration::from_millis(5), bmc.power_state()).await;
        assert!(cut.is_err());
    }
    rack.sim.set_faults(|f| f.delay = Duration::ZERO);
    *rack.machine.is_on.lock().unwrap() = true;
    assert_eq!(timed(bmc.power_state()).await.unwrap(), PowerState::On, "late answers said off");
    assert_eq!(rack.sim.open_sessions(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_does_not_hold_a_call_beyond_its_limit() {
    let rack = Rack::new();
    let flood = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bmc = rack.bmc(json!({"ipmi_port": flood.local_addr().unwrap().port()}));
    let flooding = tokio::spawn(async move {
        let (_, peer) = flood.recv_from(&mut [0; 1024]).await.unwrap();
        while flood.send_to(&[0x06, 0x00, 0xff, 0x07, 0x06, 0x13, 0, 0], peer).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let error = timed(bmc.power_state()).await.unwrap_err();
    assert!(matches!(error, BmcError::BadPacket { .. }), "{error}");
    flooding.abort();
}
