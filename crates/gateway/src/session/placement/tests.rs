use mainstay_model::settings::{Asks, Sharing};
use mainstay_model::{Ids, Principal};
use mainstay_pool::{LeaseKey, LeaseMode, Placement, Retention};
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Revision};
use mainstay_session::Token;
use mainstay_upstream::SessionNo;

use super::SharingRules;
use crate::session::Session;

const ROOTS: ClientCapabilities = ClientCapabilities {
    roots: true,
    roots_list_changed: false,
    sampling: false,
    sampling_context: false,
    sampling_tools: false,
    elicitation: false,
    elicitation_url: false,
};
const ALL_SHARINGS: [Sharing; 4] =
    [Sharing::User, Sharing::Shared, Sharing::Session, Sharing::Call];
const ALL_ASKS: [Asks; 3] = [Asks::Auto, Asks::Never, Asks::Always];

/// A client: of whom, and what it can be asked.
#[derive(Debug, Clone, Copy)]
struct TestClient(&'static str, ClientCapabilities);

const ANYBODY: TestClient = TestClient("anonymous", NOTHING);
const ALICE: TestClient = TestClient("alice", NOTHING);
const ASKED: TestClient = TestClient("anonymous", ROOTS);
const ALICE_ASKED: TestClient = TestClient("alice", ROOTS);
const NOTHING: ClientCapabilities = ClientCapabilities { roots: false, ..ROOTS };

impl TestClient {
    fn session(self, owner: u64, revision: Revision) -> Session {
        let (principal, endpoint) = (Principal::new(self.0), Ids::default().endpoint());
        Session::new(SessionNo(owner), Token::none(), principal, revision, self.1, endpoint)
    }

    fn legacy(self) -> Session {
        self.session(7, Revision::LATEST_LEGACY)
    }

    fn modern(self) -> Session {
        self.session(7, Revision::LATEST)
    }
}

fn rules(sharing: Sharing, asks: Asks, is_process: bool) -> SharingRules<impl Fn() -> bool> {
    SharingRules { sharing, asks, shares_questions: move || is_process }
}

/// Who shares the instance, what its clients declare, how it is used and how long it is kept.
fn placed(placement: &Placement) -> (&str, &str, LeaseMode, Retention) {
    assert_eq!((placement.owner, placement.user), (SessionNo(7), 7));
    (&placement.key.sharing, &placement.key.capabilities, placement.mode, placement.retention)
}

#[test]
fn a_client_of_a_process_shares_it_by_the_configuration_and_alone_while_it_can_be_asked() {
    use {LeaseMode as U, Retention as T, Sharing as S};
    let roots = r#"{"roots":{}}"#;
    for (sharing, who, wanted) in [
        (S::Shared, ANYBODY, ("", "{}", U::Shared, T::Pooled)),
        (S::Shared, ALICE, ("", "{}", U::Shared, T::Pooled)),
        (S::Shared, ALICE_ASKED, ("", roots, U::Exclusive, T::Brief)),
        (S::User, ANYBODY, ("", "{}", U::Shared, T::Pooled)),
        (S::User, ALICE, ("user:alice", "{}", U::Shared, T::Pooled)),
        (S::User, ASKED, ("", roots, U::Exclusive, T::Brief)),
        (S::User, ALICE_ASKED, ("user:alice", roots, U::Exclusive, T::Brief)),
        (S::Session, ANYBODY, ("session:7", "{}", U::Shared, T::Session)),
        (S::Session, ALICE_ASKED, ("session:7", roots, U::Exclusive, T::Session)),
        (S::Call, ALICE, ("", "{}", U::Once, T::Pooled)),
        (S::Call, ALICE_ASKED, ("", roots, U::Once, T::Brief)),
    ] {
        let placement = super::place(&who.legacy(), &rules(sharing, Asks::Auto, true));
        assert_eq!(placement.key.era, Era::Legacy);
        assert_eq!(placed(&placement), wanted, "{sharing:?} {who:?}");
    }
}

#[test]
fn a_client_of_a_remote_server_has_a_session_of_its_own_there_while_it_can_be_asked() {
    use {LeaseMode as U, Retention as T, Sharing as S};
    let roots = r#"{"roots":{}}"#;
    for (sharing, who, wanted) in [
        (S::Shared, ALICE, ("", "{}", U::Shared, T::Pooled)),
        (S::Shared, ALICE_ASKED, ("session:7", roots, U::Shared, T::Pooled)),
        (S::User, ALICE, ("user:alice", "{}", U::Shared, T::Pooled)),
        (S::User, ALICE_ASKED, ("session:7", roots, U::Shared, T::Pooled)),
        (S::Session, ALICE_ASKED, ("session:7", roots, U::Shared, T::Session)),
        (S::Call, ALICE, ("", "{}", U::Once, T::Pooled)),
        (S::Call, ALICE_ASKED, ("session:7", roots, U::Once, T::Pooled)),
    ] {
        let placement = super::place(&who.legacy(), &rules(sharing, Asks::Auto, false));
        assert_eq!(placed(&placement), wanted, "{sharing:?} {who:?}");
    }
}

#[test]
fn where_a_server_asks_nothing_clients_are_told_apart_by_nothing_they_can_be_asked() {
    for is_process in [true, false] {
        for sharing in ALL_SHARINGS {
            let never =
                super::place(&ALICE_ASKED.legacy(), &rules(sharing, Asks::Never, is_process));
            let other = super::place(&ALICE.legacy(), &rules(sharing, Asks::Auto, is_process));
            assert_eq!(placed(&never), placed(&other), "{sharing:?}");
            let [always, auto] = [Asks::Always, Asks::Auto]
                .map(|asks| super::place(&ALICE_ASKED.legacy(), &rules(sharing, asks, is_process)));
            assert_eq!(placed(&always), placed(&auto), "{sharing:?}");
        }
    }
}

#[test]
fn requests_that_stand_alone_share_unless_sessions_may_not() {
    use Sharing as S;
    for (sharing, who, wanted) in [
        (S::Shared, ALICE_ASKED, ("", LeaseMode::Shared)),
        (S::User, ASKED, ("", LeaseMode::Shared)),
        (S::User, ALICE_ASKED, ("user:alice", LeaseMode::Shared)),
        (S::Session, ALICE_ASKED, ("", LeaseMode::Once)),
        (S::Call, ALICE_ASKED, ("", LeaseMode::Once)),
    ] {
        for (asks, is_process) in ALL_ASKS.into_iter().flat_map(|it| [(it, true), (it, false)]) {
            let placement = super::place(&who.modern(), &rules(sharing, asks, is_process));
            assert_eq!(placement.key.era, Era::Modern);
            assert_eq!(
                placed(&placement),
                (wanted.0, "{}", wanted.1, Retention::Pooled),
                "{sharing:?}"
            );
        }
    }
}

#[test]
fn what_goes_to_the_shared_instance_at_once_is_what_would_be_placed_there() {
    for sharing in ALL_SHARINGS {
        for (asks, is_process) in ALL_ASKS.into_iter().flat_map(|it| [(it, true), (it, false)]) {
            for who in [ANYBODY, ALICE, ASKED, ALICE_ASKED] {
                for session in [who.legacy(), who.modern()] {
                    let rules = rules(sharing, asks, is_process);
                    let placement = super::place(&session, &rules);
                    let is_base = placement.mode == LeaseMode::Shared && placement.key.is_base();
                    let at_once = super::uses_shared_instance(&session, &rules);
                    assert_eq!(at_once, is_base, "{sharing:?} {asks:?} {is_process} {placement:?}");
                }
            }
        }
    }
}

#[test]
fn what_an_instance_says_is_for_the_sessions_whose_calls_go_there() {
    let rules = rules(Sharing::Shared, Asks::Auto, true);
    let session = ASKED.legacy();
    let own = super::place(&session, &rules).key;
    let is_for =
        |holder, key: &LeaseKey| super::is_placed_at(&session, &rules, SessionNo(holder), key);
    assert!(is_for(0, &own), "nobody has it: it may be anybody's of this kind");
    assert!(is_for(7, &own));
    assert!(!is_for(8, &own), "another has it");
    let base = LeaseKey::base(Era::Legacy);
    assert!(!is_for(0, &base) && !is_for(7, &base) && !is_for(8, &base));
}

#[test]
fn a_list_may_come_from_another_instance_where_this_one_is_only_for_a_kind_of_clients() {
    for sharing in ALL_SHARINGS {
        let of_a_kind = |who: TestClient| {
            let key = super::place(&who.legacy(), &rules(sharing, Asks::Auto, true)).key;
            super::is_keyed_by_capabilities(&key, sharing)
        };
        assert_eq!(of_a_kind(ALICE_ASKED), sharing != Sharing::Session, "{sharing:?}");
        assert!(!of_a_kind(ALICE), "{sharing:?}");
    }
}

#[test]
fn requests_for_lists_are_known_by_their_method() {
    let kinds = ["tools/list", "resources/templates/list", "tools/call", "unheard/of"];
    let found = kinds.map(super::list_kind);
    assert_eq!(found, [Some(ListKind::Tools), Some(ListKind::ResourceTemplates), None, None]);
}

#[test]
fn requests_that_stand_alone_take_turns_by_connection() {
    let endpoint = Ids::default().endpoint();
    let user = |owner, connection| {
        let (anonymous, revision) = (Principal::anonymous(), Revision::LATEST);
        let session = Session::stateless(
            SessionNo(owner),
            anonymous,
            revision,
            NOTHING,
            None,
            endpoint,
            connection,
        );
        super::place(&session, &rules(Sharing::Call, Asks::Auto, true)).user
    };
    assert_eq!(user(1, 3), user(2, 3));
    assert_ne!(user(1, 3), user(1, 4));
    // They are also not confused with a session that has the connection's number.
    assert_ne!(
        user(1, 3),
        super::place(
            &ANYBODY.session(3, Revision::LATEST_LEGACY),
            &rules(Sharing::Call, Asks::Auto, true)
        )
        .user
    );
}
