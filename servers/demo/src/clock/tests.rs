use super::moment::Moment;
use super::prompts::completions;

#[test]
fn a_time_is_the_same_moment_elsewhere() {
    for (time, from, to, expected, ahead) in [
        (
            "2026-01-15T12:00",
            "Europe/Berlin",
            "America/New_York",
            "2026-01-15T06:00:00-05:00",
            -360,
        ),
        ("2026-07-15T12:00", "Europe/Berlin", "Asia/Tokyo", "2026-07-15T19:00:00+09:00", 420),
        ("2026-07-15T23:30", "UTC", "Asia/Kathmandu", "2026-07-16T05:15:00+05:45", 345),
    ] {
        let here = Moment::at(time, from).unwrap();
        let there = here.elsewhere(to).unwrap();
        assert_eq!(there.time, expected);
        assert_eq!(there.offset_minutes() - here.offset_minutes(), ahead);
        assert_eq!(here.unix_seconds, there.unix_seconds);
    }
    assert_eq!(Moment::at("2026-11-21T08:00", "UTC").unwrap().weekday, "Saturday");
}

#[test]
fn mistakes_are_answered_with_a_way_on() {
    for (time, zone, says) in [
        ("noon", "UTC", "'noon' is no time: write 2026-03-01T15:30 or 15:30"),
        ("12:00", "Berlin", "there is no time zone 'Berlin'; perhaps Europe/Berlin"),
        ("12:00", "Atlantis", "there is no time zone 'Atlantis': names look like Europe/Berlin"),
    ] {
        assert_eq!(Moment::at(time, zone).unwrap_err(), says);
    }
    assert!(Moment::at("07:45", "Pacific/Auckland").unwrap().time.contains("T07:45:00"));
}

#[test]
fn zones_complete_by_name_and_by_city() {
    assert_eq!(completions("my_zone", "europe/berl"), ["Europe/Berlin"]);
    assert!(completions("their_zone", "tok").contains(&"Asia/Tokyo".to_owned()));
    assert!(completions("time_zone", "").len() > 300);
    assert_eq!(completions("duration", "4"), ["45"]);
    assert!(completions("unknown", "x").is_empty());
}
