use jiff::civil::date;

use super::forecast::Forecast;

#[test]
fn the_same_question_has_the_same_answer() {
    let day = date(2026, 3, 1);
    let once = Forecast::from("Berlin", day, 7).unwrap();
    assert_eq!(Forecast::from(" Berlin ", day, 7).unwrap(), once);
    assert_eq!(Forecast::from("Berlin", day, 2).unwrap().days, once.days[..2]);
    assert_ne!(Forecast::from("Osaka", day, 7).unwrap().days, once.days);
}

#[test]
fn numbers_stay_plausible_all_year() {
    for month in 1..=12 {
        for city in ["Berlin", "Nairobi", "Osaka", "Reykjavik", "x", "東京"] {
            for day in Forecast::from(city, date(2026, month, 1), 7).unwrap().days {
                assert!(day.low_c < day.high_c, "{day:?}");
                assert!((-20..=40).contains(&day.high_c), "{day:?}");
                assert!(day.wet_percent <= 100 && day.wind_kmh < 60, "{day:?}");
                assert!(day.sentence(city).ends_with("(simulated)"));
            }
        }
    }
}

#[test]
fn bounds_are_named_in_the_refusal() {
    let day = date(2026, 3, 1);
    for (city, days, says) in [
        ("", 1, "a city's name has 1 to 80 letters"),
        (&*"x".repeat(81), 1, "a city's name has 1 to 80 letters"),
        ("Berlin", 0, "days must be 1 to 7, not 0"),
        ("Berlin", 8, "days must be 1 to 7, not 8"),
    ] {
        assert_eq!(Forecast::from(city, day, days).unwrap_err(), says);
    }
}

#[test]
fn a_verdict_counts_the_days_that_fit() {
    let forecast = Forecast::from("Berlin", date(2026, 3, 1), 3).unwrap();
    assert!(forecast.verdict("any").starts_with("3 of 3 days suit you (any)."));
    assert_eq!(forecast.verdict("snow").lines().count(), 4);
}
