//! At the worst moment of a refresh: many callers, a kill, a cut, a stop beyond the lease.

use std::time::{Duration, Instant};

use keyport_tests::platform::Platform;

use super::setting;

#[test]
fn line_35_sixteen_callers_on_three_hosts_make_one_request() {
    let Some(setting) = setting(3, true) else {
        return;
    };
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|n| {
                scope.spawn({
                    let setting = &setting;
                    move || setting.me(n % 3)
                })
            })
            .collect();
        setting.provider.wait_for(1);
        // Everybody is there by now, and waits.
        std::thread::sleep(Duration::from_millis(500));
        setting.provider.release();
        for caller in callers {
            assert_eq!(caller.join().unwrap().expect(200).json()["sub"], "ada");
        }
    });
    assert_eq!(setting.provider.refreshes(), 1);
    setting.all_is_well();
    assert_eq!(setting.provider.reuses(), 0);
}

#[test]
fn a_host_that_is_killed_in_the_middle_of_a_refresh_breaks_no_connection() {
    let Some(mut setting) = setting(2, true) else {
        return;
    };
    // The one that waits for the other's refresh.
    setting.provider.expire();
    setting.provider.hold_answers();
    let (first, second) = (setting.platforms[0].clone(), setting.platforms[1].clone());
    let path = format!("/v1/connections/{}/proxy/me", setting.connection);
    let call = |platform: Platform| {
        let path = path.clone();
        std::thread::spawn(move || {
            std::panic::catch_unwind(|| platform.call("GET", &path, None)).ok()
        })
    };
    let refreshing = call(first.clone());
    setting.provider.wait_for(1);
    let waiting = call(second.clone());
    std::thread::sleep(Duration::from_millis(300));
    setting.hosts[1].kill();
    setting.provider.release();
    refreshing.join().unwrap().unwrap().expect(200);
    assert!(
        waiting
            .join()
            .unwrap()
            .is_none_or(|answer| answer.status >= 500)
    );
    assert_eq!(setting.provider.refreshes(), 1);
    setting.hosts[1].start_again();
    setting.all_is_well();

    // The one that refreshes, before the provider has looked at its request.
    let before = setting.provider.refreshes();
    setting.provider.expire();
    setting.provider.hold_requests();
    let refreshing = call(first);
    setting.provider.wait_for(1);
    let waiting = call(second);
    std::thread::sleep(Duration::from_millis(300));
    setting.hosts[0].kill();
    assert!(
        refreshing
            .join()
            .unwrap()
            .is_none_or(|answer| answer.status >= 500)
    );
    setting.provider.release();
    setting.let_the_lease_end();
    // The other takes over by itself, within the call that it already had.
    waiting.join().unwrap().unwrap().expect(200);
    assert_eq!(setting.provider.refreshes(), before + 1);
    setting.hosts[0].start_again();
    setting.all_is_well();
    assert_eq!(setting.provider.reuses(), 0);
}

#[test]
fn a_host_that_is_killed_with_the_only_new_token_in_its_hands_is_told_apart_from_a_sign_out() {
    for strict in [false, true] {
        let Some(mut setting) = setting(2, strict) else {
            return;
        };
        setting.provider.expire();
        setting.provider.hold_answers();
        let platform = setting.platforms[0].clone();
        let path = format!("/v1/connections/{}/proxy/me", setting.connection);
        let refreshing = std::thread::spawn(move || {
            std::panic::catch_unwind(|| platform.call("GET", &path, None)).is_ok()
        });
        setting.provider.wait_for(1);
        setting.hosts[0].kill();
        refreshing.join().unwrap();
        setting.provider.release();
        setting.let_the_lease_end();
        let answer = setting.me(1);
        if strict {
            // The token was spent and its successor died with the host: only the person can mend that, and is told why.
            assert_eq!(
                answer.status,
                401,
                "the app's own answer: {}",
                answer.text()
            );
            let connection = setting.state(1);
            assert_eq!(connection["state"], "needs_reconnect");
            assert_eq!(connection["reason"]["code"], "refresh_interrupted");
        } else {
            answer.expect(200);
            setting.hosts[0].start_again();
            setting.all_is_well();
        }
    }
}

#[test]
fn a_host_that_is_cut_off_from_the_database_with_a_new_token_keeps_it_until_it_can_be_written() {
    let Some(setting) = setting(2, true) else {
        return;
    };
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let refreshing = scope.spawn(|| setting.me(0));
        setting.provider.wait_for(1);
        setting.proxies[0].hold();
        setting.provider.release();
        let waiting = scope.spawn(|| setting.me(1));
        std::thread::sleep(Duration::from_secs(2));
        assert!(
            !refreshing.is_finished(),
            "a token that is not durable is not used"
        );
        setting.proxies[0].heal();
        refreshing.join().unwrap().expect(200);
        waiting.join().unwrap().expect(200);
    });
    assert_eq!(
        (setting.provider.refreshes(), setting.provider.reuses()),
        (1, 0)
    );
    // Cut off before anything: the other host serves, this one says that it cannot.
    setting.proxies[0].refuse();
    let begun = Instant::now();
    let refused = setting.me(0);
    // Some seconds, on a machine that has other things to do as well.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(refused.code(), "store_unavailable", "{}", refused.text());
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("try again"), "{}", refused.text());
    eprintln!("told after {:?}", begun.elapsed());
    setting.provider.expire();
    setting.me(1).expect(200);
    setting.proxies[0].heal();
    setting.all_is_well();
    assert_eq!(setting.provider.reuses(), 0);
}

#[test]
fn line_36_a_host_that_is_stopped_beyond_its_lease_overwrites_nothing_and_throws_nothing_away() {
    // The provider takes a spent token once more, as many do for a while: the lease is over, so the other host asks as well.
    let Some(setting) = setting(2, false) else {
        return;
    };
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let late = scope.spawn(|| setting.me(0));
        setting.provider.wait_for(1);
        setting.provider.let_others_through();
        setting.hosts[0].pause();
        setting.let_the_lease_end();
        setting.me(1).expect(200);
        assert_eq!(setting.provider.refreshes(), 2);
        setting.hosts[0].go_on();
        setting.provider.release();
        // Its own token came too late; it goes on with the newer one.
        late.join().unwrap().expect(200);
    });
    let asked = setting.provider.refreshes();
    setting.provider.expire();
    setting.me(0).expect(200);
    assert_eq!(setting.provider.refreshes(), asked + 1);
    assert_eq!(
        setting.provider.last_presented(),
        "refresh-token-0003",
        "the other host's answer was the newer one and stayed"
    );

    // Nobody else wrote: the late answer is the only good token there is, and is written although the lease is over.
    let known = setting.provider.reuses();
    setting.provider.expire();
    setting.provider.hold_answers();
    std::thread::scope(|scope| {
        let late = scope.spawn(|| setting.me(0));
        setting.provider.wait_for(1);
        setting.hosts[0].pause();
        setting.let_the_lease_end();
        setting.provider.release();
        setting.hosts[0].go_on();
        late.join().unwrap().expect(200);
    });
    assert_eq!(setting.provider.reuses(), known);
    setting.all_is_well();
}
