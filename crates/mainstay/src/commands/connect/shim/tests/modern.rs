//! Clients of 2026-07-28, who have no session.

use super::scene::{check, check_open};

#[test]
fn requests_pass_side_by_side_without_a_handshake() {
    check(
        "
        > 1 server/discover modern      => #1 server/discover 1
        > 2 tools/call modern           => #2 tools/call 2
        #2 says notifications/progress  => say notifications/progress
        #2 ok                           => say result 2
        #1 ok                           => say result 1
        > notifications/x               => #3 notifications/x
        eof
        #3 done                         => leave
    ",
    );
}

#[test]
fn statuses_with_a_message_are_answers() {
    check("
        > 1 server/discover modern      => #1 server/discover 1
        #1 refused 400 {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32022,\"message\":\"\"}} => say error 1 -32022
        > 2 x/y modern                  => #2 x/y 2
        #2 refused 404 {\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32601,\"message\":\"\"}} => say error 2 -32601
        > 3 tools/list modern           => #3 tools/list 3
        #3 refused 404 <html>           => say error 3 -32600
    ");
}

#[test]
fn who_finds_nobody_modern_begins_anew_with_a_handshake() {
    check("
        > 0 server/discover modern      => #1 server/discover 0
        #1 refused 400 {\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"begin with initialize\"}} => say error 0 -32600
        > 1 initialize                  => #2 initialize 1
        #2 ok                           => say result 1
        > notifications/initialized     => #3 notifications/initialized s1
        #3 done                         => #4 listen
        > 2 tools/call                  => #5 tools/call 2 s1
        > 3 tools/call modern           => #6 tools/call 3 s1
    ");
}

#[test]
fn a_cancelled_request_loses_its_stream_and_nothing_is_said_of_it() {
    check(
        "
        > 1 tools/call modern           => #1 tools/call 1
        > 2 subscriptions/listen modern => #2 subscriptions/listen 2
        #2 acks                         => say notifications/subscriptions/acknowledged
        > cancel 1                      => abandon #1
        > cancel 2                      => abandon #2
        > cancel 3
        #1 ok
        #2 lost
        wait 5s
    ",
    );
}

#[test]
fn what_may_be_repeated_is_and_the_rest_is_told_that_nobody_knows() {
    check(
        "
        > 1 tools/list modern           => #1 tools/list 1
        #1 lists a b!                   => say result 1
        > 2 tools/call modern a         => #2 tools/call 2
        > 3 tools/call modern b         => #3 tools/call 3
        > 4 resources/read modern       => #4 resources/read 4
        #4 lost
        #2 lost                         => say error 2 1007
        #3 lost
        > 5 tools/call modern a
        wait 0ms                        => #5 ping 0
        #5 unreached
        wait 100ms                      => #6 ping 0
        #6 refused 404 {}               => #7 resources/read 4; #8 tools/call 3; #9 tools/call 5
        #7 ok                           => say result 4
        #8 ok                           => say result 3
        #9 ok                           => say result 5
    ",
    );
}

#[test]
fn annotations_count_for_sessions_too_and_the_last_list_is_right() {
    check_open(
        "
        > 1 tools/list                  => #4 tools/list 1 s1
        #4 lists x!                     => say result 1
        > 2 tools/call modern           => #5 tools/call 2 s1
        #5 lost
        wait 0ms                        => #6 ping \"mainstay-connect\" s1
        #6 ok                           => #7 tools/call 2 s1
        #7 ok                           => say result 2
        > 3 tools/list                  => #8 tools/list 3 s1
        #8 lists x                      => say result 3
        > 4 tools/call modern           => #9 tools/call 4 s1
        #9 lost                         => say error 4 1007
    ",
    );
}

#[test]
fn a_daemon_that_is_stopping_is_waited_for_without_a_session() {
    check(
        "
        > 1 tools/call modern           => #1 tools/call 1
        #1 error 1009
        wait 100ms                      => #2 ping 0
        #2 error 1009
        wait 199ms
        wait 1ms                        => #3 ping 0
        #3 unreached
        wait 400ms                      => #4 ping 0
        #4 error -32601                 => #5 tools/call 1
        #5 ok                           => say result 1
    ",
    );
}

#[test]
fn without_a_daemon_the_first_request_is_refused_in_the_end() {
    check(
        "
        > 1 server/discover modern      => #1 server/discover 1
        #1 unreached
        wait 0ms                        => #2 server/discover 1
        #2 unreached
        wait 5s                         => say error 1 1004; leave: no daemon
    ",
    );
}

#[test]
fn a_listen_goes_on_and_tells_what_may_have_changed() {
    check(
        "
        > \"l\" subscriptions/listen modern => #1 subscriptions/listen \"l\"
        > 2 subscriptions/listen modern => #2 subscriptions/listen 2
        #1 acks                         => say notifications/subscriptions/acknowledged
        #1 says notifications/tools/list_changed => say notifications/tools/list_changed
        #1 lost
        wait 0ms                        => #3 subscriptions/listen \"l\"
        #3 unreached
        wait 99ms
        > 3 ping modern                 => #4 ping 3
        wait 1ms                        => #5 subscriptions/listen \"l\"
        #5 acks                         => say notifications/tools/list_changed; say notifications/resources/updated
        #5 says notifications/resources/updated => say notifications/resources/updated
        wait 2s
        #5 done
        wait 0ms                        => #6 subscriptions/listen \"l\"
        #6 error -32601                 => say error \"l\" -32601
        wait 5s
    ",
    );
}

#[test]
fn a_listen_that_was_never_acknowledged_is_a_request_like_others() {
    check(
        "
        > 1 subscriptions/listen modern => #1 subscriptions/listen 1
        #1 done
        wait 0ms                        => #2 ping 0
        #2 refused 404 {}               => #3 subscriptions/listen 1
        #3 lost
        wait 100ms                      => #4 ping 0
        #4 refused 404 {}               => #5 subscriptions/listen 1
        #5 ok                           => say result 1
    ",
    );
}

#[test]
fn a_listen_ends_when_it_is_ended_again_and_again() {
    check(
        "
        > 1 subscriptions/listen modern => #1 subscriptions/listen 1
        #1 acks                         => say notifications/subscriptions/acknowledged
        #1 ok
        wait 0ms                        => #2 subscriptions/listen 1
        #2 error 1009
        wait 100ms                      => #3 subscriptions/listen 1
        #3 error 1003 after 500
        wait 499ms
        wait 1ms                        => #4 subscriptions/listen 1
        #4 acks                         => say notifications/tools/list_changed; say notifications/resources/updated
        wait 2s
        #4 ok
        wait 0ms                        => #5 subscriptions/listen 1
        #5 ok
        wait 100ms                      => #6 subscriptions/listen 1
        #6 ok                           => say result 1
    ",
    );
}

#[test]
fn a_listen_is_asked_for_again_until_it_is_as_whole_as_before() {
    check(
        "
        > 1 subscriptions/listen modern => #1 subscriptions/listen 1
        #1 acks                         => say notifications/subscriptions/acknowledged
        #1 lost
        wait 0ms                        => #2 subscriptions/listen 1
        #2 acks less                    => abandon #2
        wait 99ms
        wait 1ms                        => #3 subscriptions/listen 1
        #3 acks                         => say notifications/tools/list_changed; say notifications/resources/updated
        wait 2s
        #3 lost
        wait 0ms                        => #4 subscriptions/listen 1
        #4 acks less                    => abandon #4
        wait 29s                        => #5 subscriptions/listen 1
        #5 acks less                    => abandon #5
        wait 1s                         => #6 subscriptions/listen 1
        #6 acks less                    => say notifications/tools/list_changed; say notifications/resources/updated
        #6 says notifications/resources/updated => say notifications/resources/updated
    ",
    );
}

#[test]
fn listens_wait_for_the_daemon_with_all_others_and_longer() {
    check(
        "
        > 1 subscriptions/listen modern => #1 subscriptions/listen 1
        #1 acks                         => say notifications/subscriptions/acknowledged
        > 2 tools/call modern           => #2 tools/call 2
        #2 unreached
        #1 lost
        wait 0ms                        => #3 ping 0
        #3 unreached
        wait 30s                        => say error 2 1004; #4 subscriptions/listen 1
        #4 unreached
        wait 100ms                      => #5 subscriptions/listen 1
        eof                             => leave
    ",
    );
}

#[test]
fn a_call_that_lacks_headers_is_sent_again_once_the_tools_are_known() {
    check(
        "
        > 1 tools/call modern a         => #1 tools/call 1
        > 2 tools/call modern b         => #2 tools/call 2
        > 3 tools/call modern c         => #3 tools/call 3
        #1 error -32020                 => #4 tools/list 0
        #2 error -32020
        #3 error -32020
        > cancel 3
        #4 lists a^ …                   => #5 tools/list 0
        #5 lists b                      => #6 tools/call 1  number=7; #7 tools/call 2
        #6 ok                           => say result 1
        #7 error -32020                 => say error 2 -32020
        > 4 tools/list modern           => #8 tools/list 4
        #8 error -32020                 => say error 4 -32020
        > 5 tools/call modern a         => #9 tools/call 5  number=7
        #9 error -32020                 => #10 tools/list 0
        #10 unreached                   => #11 tools/call 5  number=7
        #11 error -32020                => say error 5 -32020
    ",
    );
}

#[test]
fn who_leaves_while_tools_are_looked_up_is_answered() {
    check(
        "
        > 1 tools/call modern a         => #1 tools/call 1
        #1 error -32020                 => #2 tools/list 0
        eof
        hurry                           => say error 1 1004; leave
    ",
    );
}
