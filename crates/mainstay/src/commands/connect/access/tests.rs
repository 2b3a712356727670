use std::fs;

use super::Access;

fn shown(access: &Access) -> Option<String> {
    access.header().map(|header| header.to_str().unwrap().to_owned())
}

#[test]
fn a_file_comes_before_the_environment_and_blanks_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "from-file\n").unwrap();
    for (file, variable, expected) in [
        (None, None, None),
        (None, Some(""), None),
        (None, Some(" a.b-c~d+e/f== \n"), Some("Bearer a.b-c~d+e/f==")),
        (Some(file.as_path()), Some("other"), Some("Bearer from-file")),
    ] {
        let access = Access::find(file, variable).unwrap();
        assert_eq!(shown(&access).as_deref(), expected, "{file:?} {variable:?}");
    }
}

#[test]
fn what_is_no_token_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    for text in ["", "se cret", "se\ncret", "sécret", &"s".repeat(5000)] {
        fs::write(&file, text).unwrap();
        let complaint = Access::find(Some(&file), None).unwrap_err().to_string();
        assert!(!complaint.contains("cret") && !complaint.contains("ss"), "{complaint}");
    }
    assert!(Access::find(Some(&folder.path().join("none")), None).is_err());
    assert!(Access::find(None, Some("a b")).is_err());
    let access = Access::find(None, Some("secret")).unwrap();
    assert!(!format!("{access:?}").contains("secret"));
}

#[tokio::test]
async fn a_file_is_read_again_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "one").unwrap();
    let access = Access::find(Some(&file), None).unwrap();
    assert!(!access.renews().await);
    fs::write(&file, "").unwrap();
    assert!(!access.renews().await);
    fs::write(&file, "two").unwrap();
    assert!(access.renews().await);
    assert_eq!(shown(&access).as_deref(), Some("Bearer two"));
    assert!(!Access::find(None, Some("one")).unwrap().renews().await);
}
