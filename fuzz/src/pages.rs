//! Pages of lists and handshakes: every span holds what it says, and renaming changes only names.

use mainstay_protocol::Edit;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::edit::splice;
use mainstay_protocol::initialize::{InitializeParams, InitializeResult};
use mainstay_protocol::list::{ListKind, ListPage};

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for kind in ListKind::ALL {
        if let Ok(page) = ListPage::parse(text, kind) {
            check_page(text, &page, kind);
        }
    }
    check_handshake(text);
}

fn check_page(text: &str, page: &ListPage<'_>, kind: ListKind) {
    for item in &page.items {
        assert_eq!(&text[item.span.clone()], item.raw);
        let key = &text[item.key_span.clone()];
        assert_eq!(&item.raw[item.key_span_in_item()], key);
        assert_eq!(serde_json::from_str::<String>(key).expect("a string"), item.key);
    }
    let mut edits: Vec<_> =
        page.items.iter().map(|item| Edit::new(item.key_span.clone(), b"\"new\"")).collect();
    let renamed = splice(text.as_bytes(), &mut edits);
    let renamed = std::str::from_utf8(&renamed).expect("still text");
    let again = ListPage::parse(renamed, kind).expect("still a page");
    assert_eq!(again.items.len(), page.items.len());
    assert_eq!(again.malformed, page.malformed);
    assert_eq!(again.next_cursor, page.next_cursor);
    for (new, old) in again.items.iter().zip(&page.items) {
        assert_eq!(new.key, "new");
        assert_eq!(new.hints, old.hints);
        assert_eq!(new.raw.len() - "\"new\"".len(), old.raw.len() - old.key_span.len());
    }
}

fn check_handshake(text: &str) {
    if let Ok(params) = InitializeParams::parse(text) {
        assert_eq!(&text[params.protocol_version.span.clone()], params.protocol_version.raw);
        params.revision();
        params.client();
        let capabilities = params.client_capabilities();
        let again = capabilities.to_json();
        assert_eq!(ClientCapabilities::from_json(&again), settle(capabilities));
    }
    if let Ok(result) = InitializeResult::parse(text) {
        result.revision();
        result.server();
        result.server_capabilities().to_json();
    }
}

/// What depends on a capability that is not there can't be written.
fn settle(mut settled: ClientCapabilities) -> ClientCapabilities {
    settled.roots_list_changed &= settled.roots;
    settled.sampling_context &= settled.sampling;
    settled.sampling_tools &= settled.sampling;
    settled
}
