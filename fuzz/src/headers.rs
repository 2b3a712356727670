//! Header values: what can be read can be written so that it reads the same.

use mainstay_protocol::Revision;
use mainstay_protocol::headers::{
    check_method, check_name, decode_value, encode_value, is_session_id,
};

pub fn check(data: &[u8]) {
    if let Ok(value) = decode_value(data) {
        check_survives(&value);
        assert_eq!(check_name([data], &value), Ok(()));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        check_survives(text);
        let _ = check_method([data], text);
        Revision::parse(text);
        Revision::negotiate(text);
    }
    is_session_id(data);
}

fn check_survives(value: &str) {
    let header = encode_value(value);
    assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')), "fit for a header");
    assert_eq!(decode_value(header.as_bytes()).as_deref(), Ok(value));
}
