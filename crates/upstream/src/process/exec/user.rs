//! Whose rights a server has.
//!
//! Names are looked up in the files of this machine and not in a directory on the network, which
//! could hang and would need the C library's own modules; a number needs no entry anywhere.

use std::{fs, io};

use rustix::fs::{Gid, Uid};
use rustix::process::{getgid, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::plan::{Cause, Failure, Plan};

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
    shell: String,
}

/// Becomes the user and group of the plan; the account, where the user has changed.
///
/// Sets them for this thread, which is the one that the program goes on in.
pub(super) fn take(plan: &Plan) -> Result<Option<Account>, Failure> {
    let group = match &plan.group {
        Some(name) => {
            let gid = find_group(name, &read("/etc/group"));
            Some(gid.ok_or_else(|| Failure::UnknownGroup { name: name.clone() })?)
        }
        None => None,
    };
    let Some(name) = &plan.user else {
        if let (Some(gid), Some(name)) = (group, &plan.group) {
            become_group(gid).map_err(|error| denied(name, &error))?;
        }
        return Ok(None);
    };
    let account = find_account(name, &read("/etc/passwd"), group)
        .ok_or_else(|| Failure::UnknownUser { name: name.clone() })?;
    let gid = group.unwrap_or(account.gid);
    if getuid().as_raw() == account.uid && getgid().as_raw() == gid {
        return Ok(None);
    }
    // The groups first: without the daemon's rights they can't be changed any more.
    let groups: Vec<Gid> = groups_of(&account.name, gid, &read("/etc/group"));
    set_thread_groups(&groups)
        .map_err(io::Error::from)
        .and_then(|()| become_group(gid))
        .and_then(|()| become_user(account.uid))
        .map_err(|error| denied(name, &error))?;
    Ok(Some(account))
}

/// Whether a server with this user and group could be started as far as their names go. Reads the files of
/// this machine.
///
/// # Errors
/// The failure that its start would have.
pub(in crate::process) fn look_up(user: Option<&str>, group: Option<&str>) -> Result<(), Failure> {
    let find = |name: &str| find_group(name, &read("/etc/group"));
    let gid = match group {
        Some(name) => {
            Some(find(name).ok_or_else(|| Failure::UnknownGroup { name: name.to_owned() })?)
        }
        None => None,
    };
    match user.map(|name| (name, find_account(name, &read("/etc/passwd"), gid))) {
        Some((name, None)) => Err(Failure::UnknownUser { name: name.to_owned() }),
        _ => Ok(()),
    }
}

/// Whether a process of this user is counted apart from those of the daemon, and its processes can be limited, which
/// those of root can't.
pub(in crate::process) fn is_other_user(user: &str) -> bool {
    let account = find_account(user, &read("/etc/passwd"), Some(0));
    account.is_some_and(|account| account.uid != 0 && account.uid != getuid().as_raw())
}

fn become_group(gid: u32) -> io::Result<()> {
    if getgid().as_raw() == gid {
        return Ok(());
    }
    let gid = Gid::from_raw(gid);
    Ok(set_thread_res_gid(gid, gid, gid)?)
}

fn become_user(uid: u32) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

fn denied(name: &str, error: &io::Error) -> Failure {
    Failure::User { name: name.to_owned(), cause: Cause::of(error) }
}

fn read(path: &str) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Finds the account in the text of `/etc/passwd`. A number without an entry counts only when the
/// group is given, too.
fn find_account(name: &str, passwd: &str, group: Option<u32>) -> Option<Account> {
    let number: Option<u32> = name.parse().ok();
    let accounts = passwd.lines().filter_map(Account::parse);
    let mut found = accounts.filter(|one| one.name == name || Some(one.uid) == number);
    let bare = || {
        let (uid, gid) = (number?, group?);
        let (home, shell) = ("/".to_owned(), "/bin/sh".to_owned());
        Some(Account { name: name.to_owned(), uid, gid, home, shell })
    };
    found.next().or_else(bare)
}

fn find_group(name: &str, groups: &str) -> Option<u32> {
    let mut lines = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let named = lines.find(|fields| fields.first() == Some(&name));
    named.and_then(|fields| fields.get(2)?.parse().ok()).or_else(|| name.parse().ok())
}

/// The group `gid` and all groups that list `user` as a member.
fn groups_of(user: &str, gid: u32, groups: &str) -> Vec<Gid> {
    let member_of = groups.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        fields.get(3)?.split(',').any(|member| member.trim() == user).then_some(())?;
        fields.get(2)?.parse().ok()
    });
    let mut all: Vec<u32> = std::iter::once(gid).chain(member_of).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(Gid::from_raw).collect()
}

// === impl Account ===

impl Account {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell, ..] = fields[..] else { return None };
        Some(Self {
            name: name.to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    }

    /// Variables about the user. With the daemon's, a server would look for its files in folders
    /// that it may not open.
    pub(super) fn variables(self) -> [(&'static str, String); 4] {
        [
            ("HOME", self.home),
            ("USER", self.name.clone()),
            ("LOGNAME", self.name),
            ("SHELL", self.shell),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{find_account, find_group, groups_of};

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n# no line\nbroken:x:y\n\
                          ada:x:1000:100:Ada,,,:/home/ada:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nusers:x:100:\ndocker:x:998:bob,ada\nadas:x:7:adam\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        for name in ["ada", "1000"] {
            let ada = find_account(name, PASSWD, None).expect("she is there");
            assert_eq!((ada.uid, ada.gid, &*ada.home), (1000, 100, "/home/ada"), "{name}");
        }
        for unknown in ["broken", "Ada", "", "4711", "-1"] {
            assert_eq!(find_account(unknown, PASSWD, None), None, "{unknown}");
        }
        let bare = find_account("4711", PASSWD, Some(12)).expect("a number with a group");
        assert_eq!((bare.uid, bare.gid, &*bare.name), (4711, 12, "4711"));
    }

    #[test]
    fn groups_are_the_users_own_and_those_that_list_it() {
        assert_eq!(find_group("docker", GROUPS), Some(998));
        assert_eq!(find_group("4711", GROUPS), Some(4711));
        assert_eq!(find_group("dock", GROUPS), None);
        let numbers: Vec<u32> =
            groups_of("ada", 100, GROUPS).iter().map(|gid| gid.as_raw()).collect();
        assert_eq!(numbers, [100, 998]);
    }
}
