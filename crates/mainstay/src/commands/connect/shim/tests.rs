mod modern;
mod random;
mod scene;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use self::scene::{Scene, check, check_open};
use super::{Effect, End, News};

#[test]
fn what_comes_too_early_waits_for_the_handshake() {
    check(
        "
        > 0 initialize                  => #1 initialize 0
        > notifications/initialized
        > 1 tools/list
        > 2 tools/call
        #1 ok                           => say result 0; #2 notifications/initialized s1
        #2 done                         => #3 listen; #4 tools/list 1 s1; #5 tools/call 2 s1
        #5 ok                           => say result 2
        #4 ok                           => say result 1
    ",
    );
}

#[test]
fn calls_pass_side_by_side_and_are_answered_once() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > \"1\" tools/call              => #5 tools/call \"1\" s1
        #5 says notifications/progress  => say notifications/progress
        #5 ok                           => say result \"1\"
        #5 ok
        #5 lost
        #4 error -32602                 => say error 1 -32602
        #3 says notifications/tools/list_changed => say notifications/tools/list_changed
    ",
    );
}

#[test]
fn a_client_may_ask_before_it_has_said_hello() {
    check("
        > 0 ping                        => say result 0
        > 1 tools/list                  => #1 tools/list 1
        #1 refused 400 {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"\"}} => say error 1 -32600
        > 2 server/discover modern      => #2 server/discover 2
        #2 refused 400 sorry            => say error 2 -32600
        > 3 initialize                  => #3 initialize 3
        #3 error -32602                 => say error 3 -32602
        > 4 initialize                  => #4 initialize 4
        #4 ok                           => say result 4
        > 5 ping                        => #5 ping 5 s1
    ");
}

#[test]
fn without_a_daemon_the_first_request_waits_for_five_seconds() {
    check(
        "
        > 0 initialize                  => #1 initialize 0
        > 1 tools/list
        #1 unreached
        wait 0ms                        => #2 initialize 0
        #2 unreached
        wait 99ms
        wait 1ms                        => #3 initialize 0
        #3 unreached
        wait 200ms                      => #4 initialize 0
        #4 unreached
        wait 4s                         => #5 initialize 0
        #5 unreached
        wait 699ms
        wait 1ms                        => say error 0 1004; say error 1 1004; leave: no daemon
    ",
    );
}

#[test]
fn a_daemon_that_comes_late_finds_everything_waiting() {
    check(
        "
        > 0 initialize                  => #1 initialize 0
        #1 unreached
        > notifications/initialized
        > 1 tools/list
        wait 0ms                        => #2 initialize 0
        #2 error 1009
        wait 100ms                      => #3 initialize 0
        #3 ok                           => say result 0; #4 notifications/initialized s1
        #4 done                         => #5 listen; #6 tools/list 1 s1
    ",
    );
}

#[test]
fn a_new_session_takes_the_place_of_a_lost_one() {
    check_open(
        "
        > 1 logging/setLevel            => #4 logging/setLevel 1 s1
        #4 ok                           => say result 1
        > 2 resources/subscribe a       => #5 resources/subscribe 2 s1
        #5 ok                           => say result 2
        > 3 resources/subscribe b       => #6 resources/subscribe 3 s1
        #6 ok                           => say result 3
        > 4 resources/unsubscribe b     => #7 resources/unsubscribe 4 s1
        #7 ok                           => say result 4
        > 5 tools/call                  => #8 tools/call 5 s1
        > 6 tools/list                  => #9 tools/list 6 s1
        #3 lost
        #8 lost                         => say error 5 1007
        #9 lost
        > 7 tools/call
        wait 0ms                        => #10 ping \"mainstay-connect\" s1
        #10 unreached
        wait 100ms                      => #11 ping \"mainstay-connect\" s1
        #11 unreached
        wait 200ms                      => #12 ping \"mainstay-connect\" s1
        #12 gone                        => #13 initialize 0
        #13 ok                          => #14 notifications/initialized s2
        #14 done                        => #15 logging/setLevel 1 s2; #16 resources/subscribe 2 s2
        #16 ok
        #15 ok                          => say notifications/tools/list_changed; \
                                           say notifications/resources/updated; #17 listen; \
                                           #18 tools/list 6 s2; #19 tools/call 7 s2
        #18 ok                          => say result 6
        #19 ok                          => say result 7
    "
        .replace("\\\n", "")
        .as_str(),
    );
}

#[test]
fn a_session_that_outlived_the_break_goes_on() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        #3 mark e7
        #3 done
        > 2 prompts/get
        wait 0ms                        => #5 ping \"mainstay-connect\" s1
        #5 ok                           => #6 prompts/get 2 s1
        wait 1s                         => #7 listen e7
        #4 ok                           => say result 1
    ",
    );
}

#[test]
fn an_answer_that_comes_while_the_session_is_looked_for_changes_nothing() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > 2 tools/call                  => #5 tools/call 2 s1
        #3 done
        > 3 ping
        #4 ok                           => say result 1
        wait 0ms                        => #6 ping \"mainstay-connect\" s1
        #5 ok                           => say result 2
        #6 lost
        wait 0ms                        => #7 ping \"mainstay-connect\" s1
        #7 ok                           => #8 ping 3 s1
    ",
    );
}

#[test]
fn a_session_deleted_behind_the_back_is_opened_again_once() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > 2 tools/call                  => #5 tools/call 2 s1
        #4 gone                         => #6 initialize 0
        #5 gone
        #3 gone
        #6 ok                           => #7 notifications/initialized s2
        #7 done                         => say notifications/tools/list_changed; #8 listen; \
                                           #9 tools/call 1 s2; #10 tools/call 2 s2
        #9 ok                           => say result 1
        #10 ok                          => say result 2
    "
        .replace("\\\n", "")
        .as_str(),
    );
}

#[test]
fn what_never_arrives_or_is_lost_each_time_is_refused_in_the_end() {
    check_open(
        "
        > 1 tools/list                  => #4 tools/list 1 s1
        #4 lost
        wait 0ms                        => #5 ping \"mainstay-connect\" s1
        #5 ok                           => #6 tools/list 1 s1
        #6 done
        wait 99ms
        wait 1ms                        => #7 ping \"mainstay-connect\" s1
        #7 ok                           => #8 tools/list 1 s1
        #8 lost
        wait 200ms                      => #9 ping \"mainstay-connect\" s1
        #9 ok                           => #10 tools/list 1 s1
        #10 lost                        => say error 1 1004
        wait 400ms                      => #11 ping \"mainstay-connect\" s1
        > 2 tools/call
        #11 unreached
        wait 29s                        => #12 ping \"mainstay-connect\" s1
        wait 1s                         => say error 2 1004
        #12 gone                        => #13 initialize 0
        > 3 tools/call
        #13 error 1009
        wait 2s                         => #14 initialize 0
        #14 error 1004                  => say error 3 1004
    ",
    );
}

#[test]
fn a_daemon_that_is_stopping_is_waited_for() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > 2 tools/call                  => #5 tools/call 2 s1
        #5 error 1009
        > cancel 2
        > 3 tools/call
        wait 99ms
        wait 1ms                        => #6 ping \"mainstay-connect\" s1
        #6 ok                           => #7 tools/call 3 s1
        #7 error 1009
        wait 199ms
        wait 1ms                        => #8 ping \"mainstay-connect\" s1
        #4 ok                           => say result 1
        #8 unreached
        wait 2s                         => #9 ping \"mainstay-connect\" s1
        wait 30s                        => say error 3 1009
    ",
    );
}

#[test]
fn questions_go_by_numbers_of_our_own_and_end_with_their_call() {
    check_open("
        > 1 tools/call                  => #4 tools/call 1 s1
        #4 asks 5                       => say roots/list 1
        #4 asks \"x\"                   => say roots/list 2
        > reply 2                       => #5 result \"x\" s1
        #5 done
        > reply 2
        #4 retracts 5                   => say notifications/cancelled 1
        #4 asks 6                       => say roots/list 3
        #4 ok                           => say notifications/cancelled 3; say result 1
        > reply 3
        #3 asks 7                       => say roots/list 4
        > 2 ping                        => #6 ping 2 s1
        #6 gone                         => #7 initialize 0
        > reply 4
        #7 ok                           => abandon #3; #8 notifications/initialized s2
        #8 done                         => say notifications/tools/list_changed; #9 listen; #10 ping 2 s2
        #9 asks 1                       => say roots/list 5
        > reply 5                       => #11 result 1 s2
    ");
}

#[test]
fn what_is_cancelled_is_not_answered() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > cancel 1                      => #5 notifications/cancelled 1 s1
        #4 done
        > cancel 1
        > cancel 9
        > 2 tools/call                  => #6 tools/call 2 s1
        > cancel 2                      => #7 notifications/cancelled 2 s1
        #6 lost
        > 3 tools/call
        > cancel 3
        wait 0ms                        => #8 ping \"mainstay-connect\" s1
        #8 ok
        > 4 subscriptions/listen modern => #9 subscriptions/listen 4
        > cancel 4                      => abandon #9
    ",
    );
}

#[test]
fn a_client_that_leaves_is_answered_first() {
    check("eof => leave");
    check_open("eof => farewell, leave");
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        eof
        #4 ok                           => say result 1; farewell, leave
    ",
    );
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > 2 subscriptions/listen modern => #5 subscriptions/listen 2
        eof
        wait 4s
        wait 1s                         => say error 1 1007; farewell, leave
        #4 ok
    ",
    );
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        #4 unreached
        eof
        hurry                           => say error 1 1004; leave
    ",
    );
    check(
        "
        > 0 initialize                  => #1 initialize 0
        > notifications/initialized
        > 1 tools/list
        eof
        #1 ok                           => say result 0; #2 notifications/initialized s1
        #2 done                         => #3 listen; #4 tools/list 1 s1
        #4 ok                           => say result 1; farewell, leave
    ",
    );
}

#[test]
fn a_client_may_begin_anew() {
    check_open(
        "
        > 1 tools/call                  => #4 tools/call 1 s1
        > 2 initialize                  => forget s1; abandon #3; #5 initialize 2
        #4 done                         => say error 1 1007
        #5 ok                           => say result 2
        > notifications/initialized     => #6 notifications/initialized s2
        #6 done                         => #7 listen
    ",
    );
}

#[test]
fn no_stream_is_no_trouble() {
    check_open(
        "
        #3 gone
        wait 0ms                        => #4 ping \"mainstay-connect\" s1
        #4 ok
        wait 5s
    ",
    );
    check_open(
        "
        #3 nostream
        wait 5s
        > 1 ping                        => #4 ping 1 s1
        #4 ok                           => say result 1
    ",
    );
}

#[test]
fn a_stream_that_can_not_go_on_where_it_was_cut_begins_anew() {
    check_open(
        "
        #3 mark e7
        #3 done
        wait 0ms                        => #4 ping \"mainstay-connect\" s1
        #4 ok
        wait 1s                         => #5 listen e7
        #5 refused 500 sorry
        wait 1s                         => #6 listen e7
        #6 refused 400 unknown
        wait 1s                         => #7 listen
        #7 refused 400 never
        wait 5s
    ",
    );
}

#[test]
fn who_is_not_let_in_is_told_what_to_bring() {
    let mut scene = Scene::new();
    scene.happens("> 0 initialize");
    let body = Bytes::from_static(b"who are you?");
    let end = End::Refused { status: StatusCode::UNAUTHORIZED, body };
    scene.shim.heard(scene.now, 1, News::Ended(end));
    let effects = scene.shim.effects();
    let [Effect::Say(answer)] = &effects[..] else { panic!("{effects:?}") };
    let answer: Value = serde_json::from_slice(answer).unwrap();
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("who are you?") && message.contains("MAINSTAY_TOKEN"), "{message}");
}

#[test]
fn nonsense_is_answered_and_batches_are_taken_apart() {
    check_open("
        > raw hello                     => say error -32700
        > raw 7                         => say error -32600
        > raw []                        => say error -32600
        > raw {\"jsonrpc\":\"2.0\",\"id\":4} => say error 4 -32600
        > raw [{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},3] => #4 ping 1 s1; say error -32600
    ");
}

#[test]
fn a_wrong_endpoint_says_which_there_are() {
    let mut scene = Scene::new();
    scene.happens("> 0 initialize");
    let body = br#"{"error":"nothing is at /mcp/tme","endpoints":["/mcp","/mcp/time"]}"#;
    let end = End::Refused { status: StatusCode::NOT_FOUND, body: Bytes::from_static(body) };
    scene.shim.heard(scene.now, 1, News::Ended(end));
    let effects = scene.shim.effects();
    let [Effect::Say(answer)] = &effects[..] else { panic!("{effects:?}") };
    let answer: Value = serde_json::from_slice(answer).unwrap();
    assert_eq!(
        answer["error"]["message"],
        "nothing is at /mcp/tme; known endpoints: /mcp, /mcp/time"
    );
}

#[test]
fn what_is_too_much_at_once_waits_and_what_is_too_much_to_wait_is_refused() {
    let mut scene = Scene::new();
    let (sent, held) = (super::limits::UNDER_WAY_MAX, super::limits::HELD_MAX);
    for id in 0..sent {
        assert_eq!(
            scene.happens(&format!("> {id} tools/list")),
            format!("#{} tools/list {id}", id + 1)
        );
    }
    for id in sent..sent + held {
        assert_eq!(scene.happens(&format!("> {id} tools/list")), "");
    }
    assert_eq!(scene.happens("> 99999 tools/list"), "say error 99999 1001");
    // The next goes as soon as one is done, and those that only wait can still be cancelled.
    assert_eq!(scene.happens(&format!("> cancel {sent}")), "");
    let (exchange, next) = (sent + 1, sent + 1);
    assert_eq!(scene.happens("#1 ok"), format!("say result 0; #{exchange} tools/list {next}"));
    assert_eq!(scene.happens("#2 unreached"), "");
    assert_eq!(scene.happens("#3 ok"), "say result 2");
}

#[test]
fn subscriptions_are_repeated_in_portions() {
    let mut scene = Scene::new();
    for step in ["> 0 initialize", "#1 ok", "> notifications/initialized", "#2 done"] {
        scene.happens(step);
    }
    for n in 0..100 {
        scene.happens(&format!("> {} resources/subscribe u{n:02}", n + 1));
        scene.happens(&format!("#{} ok", n + 4));
    }
    scene.happens("> 500 ping");
    scene.happens("#104 gone");
    scene.happens("#105 ok");
    let count = |shown: String| shown.matches("resources/subscribe").count();
    assert_eq!(count(scene.happens("#106 done")), 64);
    let told: usize = (107..171).map(|n| count(scene.happens(&format!("#{n} ok")))).sum();
    assert_eq!(told, 36);
    for n in 171..206 {
        assert_eq!(scene.happens(&format!("#{n} ok")), "");
    }
    let done = scene.happens("#206 ok");
    assert_eq!(done.matches("notifications/resources/updated").count(), 100);
    assert!(done.ends_with("ping 500 s2"), "{done}");
}
