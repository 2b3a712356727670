use super::{Era, HttpTransport, Revision, VersionHeader, status};
use crate::codes;

#[test]
fn dates_are_read_back_and_sort_by_time() {
    for revision in Revision::ALL {
        assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        assert_eq!(revision.rules().revision, revision);
    }
    assert!(Revision::ALL.is_sorted());
    assert!(Revision::ALL.map(Revision::as_str).is_sorted());
    for unknown in ["", "2024-10-07", "2026-07-28 ", "DRAFT-2026-v1"] {
        assert_eq!(Revision::parse(unknown), None, "{unknown}");
    }
}

#[test]
fn initialize_is_answered_with_a_revision_that_has_it() {
    let table = [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2024-10-07", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ];
    for (requested, answered) in table {
        assert_eq!(Revision::negotiate(requested).as_str(), answered, "{requested}");
    }
}

/// One row for each revision, as the specification's own pages have it.
#[test]
fn the_revisions_differ_where_they_should() {
    use HttpTransport::{HttpSse, StatelessHttp, StreamableHttp};
    use VersionHeader::{AfterInitialize, Always, Unknown};

    let table = [
        // remote, version header, batches, priming, resumable, GET, DELETE
        (HttpSse, Unknown, false, false, false, false, false),
        (StreamableHttp, Unknown, true, false, true, true, true),
        (StreamableHttp, AfterInitialize, false, false, true, true, true),
        (StreamableHttp, AfterInitialize, false, true, true, true, true),
        (StatelessHttp, Always, false, false, false, false, false),
    ];
    for (revision, expected) in Revision::ALL.into_iter().zip(table) {
        let rules = revision.rules();
        let is = (
            rules.http,
            rules.version_header,
            rules.batches,
            rules.priming_events,
            rules.resumable,
            rules.get_opens_a_stream(),
            rules.delete_ends_a_session(),
        );
        assert_eq!(is, expected, "{revision}");
    }
}

#[test]
fn what_belongs_to_a_conversation_is_legacy() {
    for revision in Revision::ALL {
        let rules = revision.rules();
        let legacy = revision.era() == Era::Legacy;
        assert_eq!(legacy, revision <= Revision::LATEST_LEGACY, "{revision}");
        assert_eq!(rules.server_requests, legacy, "{revision}");
        assert_eq!(rules.stateful_methods, legacy, "{revision}");
        assert_eq!(rules.disconnect_cancels, !legacy, "{revision}");
        assert_eq!(rules.mirrored_headers, !legacy, "{revision}");
    }
}

#[test]
fn errors_have_the_status_of_their_generation() {
    let table = [
        (codes::PARSE_ERROR, 400, 400),
        (codes::INVALID_REQUEST, 400, 400),
        (codes::METHOD_NOT_FOUND, 200, 404),
        (codes::INVALID_PARAMS, 200, 200),
        (codes::HEADER_MISMATCH, 200, 400),
        (codes::MISSING_CLIENT_CAPABILITY, 200, 400),
        (codes::UNSUPPORTED_PROTOCOL_VERSION, 200, 400),
        (codes::INTERNAL_ERROR, 200, 200),
        (1001, 200, 200),
    ];
    for (code, legacy, modern) in table {
        assert_eq!(Era::Legacy.status_of(code), legacy, "{code}");
        assert_eq!(Era::Modern.status_of(code), modern, "{code}");
    }
    assert_eq!(Era::Legacy.status_of(codes::INTERNAL_ERROR), status::OK);
}
