//! What is kept of the output of servers.

use std::time::{Duration, SystemTime};

use mainstay_model::{InstanceId, Name};

use super::{BYTES_MAX, LINES_MAX, SERVER_BYTES_MAX, ServerOutput, Written};

fn name(text: &str) -> Name {
    Name::try_new(text).unwrap()
}

fn write(output: &ServerOutput, server: &str, text: &str) {
    output.push(&name(server), InstanceId(1), Written::Stderr, text);
}

fn texts(output: &ServerOutput, number: u64, server: Option<&str>, limit: usize) -> Vec<String> {
    let page = output.after(number, None, server, limit);
    page.lines.iter().map(|line| format!("{} {}", line.server, line.text)).collect()
}

#[test]
fn lines_of_all_servers_come_in_the_order_in_which_they_were_written() {
    let output = ServerOutput::new();
    for (server, text) in [("b", "1"), ("a", "2"), ("b", "3"), ("a", "4")] {
        write(&output, server, text);
    }
    assert_eq!(texts(&output, 0, None, 10), ["b 1", "a 2", "b 3", "a 4"]);
    assert_eq!(texts(&output, 1, None, 10), ["a 2", "b 3", "a 4"]);
    assert_eq!(texts(&output, 0, Some("b"), 10), ["b 1", "b 3"]);
    assert_eq!(texts(&output, 0, None, 2), ["b 3", "a 4"], "the newest");
    assert!(output.after(0, None, Some("a"), 1).is_cut && output.after(0, None, None, 2).is_cut);
    assert!(!output.after(0, None, None, 4).is_cut);
    assert!(texts(&output, 4, None, 10).is_empty() && texts(&output, 0, Some("c"), 9).is_empty());
    let later = SystemTime::now() + Duration::from_secs(9);
    assert!(output.after(0, Some(later), None, 10).lines.is_empty());
}

#[test]
fn a_flood_costs_its_own_server_the_oldest_lines_and_others_nothing() {
    let output = ServerOutput::new();
    write(&output, "quiet", "hello");
    for number in 0..10_000 {
        write(&output, "loud", &format!("line {number}"));
    }
    let page = output.after(0, None, Some("loud"), usize::MAX);
    assert!(page.is_cut && page.lines.len() <= LINES_MAX);
    assert_eq!(&*page.lines.last().unwrap().text, "line 9999");
    assert_eq!(texts(&output, 0, Some("quiet"), 10), ["quiet hello"]);
    // Of long lines, there are fewer.
    for _ in 0..1000 {
        write(&output, "long", &"x".repeat(2048));
    }
    assert!(output.after(0, None, Some("long"), usize::MAX).lines.len() < SERVER_BYTES_MAX / 2048);
}

#[test]
fn all_servers_together_stay_within_their_bound() {
    let output = ServerOutput::new();
    for round in 0..40 {
        for server in 0..100 {
            write(&output, &format!("s{server}"), &"x".repeat(2000 + round));
        }
        assert!(output.0.kept.lock().bytes <= BYTES_MAX);
    }
    let kept = output.0.kept.lock();
    let sum: usize = kept.servers.values().map(|lines| lines.bytes).sum();
    assert_eq!(kept.bytes, sum);
    assert!(kept.servers.values().all(|lines| !lines.lines.is_empty()), "everybody has some");
}

#[tokio::test]
async fn a_follower_wakes_for_new_lines_and_for_the_end() {
    let output = ServerOutput::new();
    write(&output, "a", "1");
    let mut follower = output.follow();
    assert!(follower.wait(0).await, "there is one already");
    let waiting = tokio::spawn(async move { (follower.wait(1).await, follower) });
    write(&output, "a", "2");
    let (more, mut follower) = waiting.await.unwrap();
    assert!(more);
    let waiting = tokio::spawn(async move { follower.wait(2).await });
    output.close();
    assert!(!waiting.await.unwrap());
    // What was written before the end is read.
    write(&output, "a", "3");
    assert!(output.follow().wait(2).await);
}

#[tokio::test]
async fn a_line_is_seen_however_early_it_comes_and_however_soon_it_is_forgotten() {
    let output = ServerOutput::new();
    output.push(&name("a"), InstanceId(1), Written::Stderr, "ready: an earlier run");
    let seen = output.look_for(&name("a"), InstanceId(1), "ready");
    for (server, instance, line) in
        [("b", 1, "ready"), ("a", 2, "ready"), ("a", 1, "not rea"), ("a", 1, "dy")]
    {
        output.push(&name(server), InstanceId(instance), Written::Stdout, line);
        assert!(!seen.is_seen(), "{server} {instance} {line}");
    }
    let waiting = tokio::spawn({
        let seen = seen.clone();
        async move { seen.seen().await }
    });
    write(&output, "a", "now ready for work");
    assert!(seen.is_seen());
    waiting.await.unwrap();
    for n in 0..2 * LINES_MAX {
        write(&output, "a", &n.to_string());
    }
    seen.seen().await;
    // The next run is looked at anew.
    assert!(!output.look_for(&name("a"), InstanceId(1), "ready").is_seen());
}

#[tokio::test]
async fn searches_that_nobody_waits_for_are_forgotten() {
    let output = ServerOutput::new();
    for _ in 0..100 {
        output.look_for(&name("a"), InstanceId(1), "ready");
    }
    let last = output.look_for(&name("a"), InstanceId(1), "ready");
    assert_eq!(output.0.kept.lock().wanted.len(), 1);
    write(&output, "a", "ready");
    assert_eq!(output.0.kept.lock().wanted.len(), 0);
    assert!(last.is_seen());
}
