use super::{Key, Kind, Section};

pub(super) static SERVER_LIMITS: Section = Section {
    title: "servers.NAME.limits",
    doc: "What each instance of the server may use, with everything that it starts. Mainstay makes a control group \
          (cgroup) for each instance of a server with limits on memory, CPUs or processes; where it can't, some of \
          the limits hold for each process by itself and others don't hold, which the log and `mainstay status NAME` \
          say. [limits.md](limits.md) has an example.",
    keys: &LIMIT_KEYS,
    example: "",
};

pub(super) static SERVICE_LIMITS: Section = Section {
    title: "services.NAME.limits",
    doc: "What the service may use, with everything that it starts, as for servers.",
    keys: &LIMIT_KEYS,
    example: "",
};

pub(super) const LIMITS_EXAMPLE: &str = "{ memory = '4GiB', cpus = 2 }";

const MEMORY: Kind = Kind::Size { min: 4 << 20, max: 1 << 50 };

static LIMIT_KEYS: [Key; 5] = [
    Key::new(
        "memory",
        MEMORY,
        "'4GiB'",
        "The maximum memory, with swap space. An instance that wants more is killed by the kernel, and started \
         again as after any other end.",
    ),
    Key::new(
        "memory_reservation",
        MEMORY,
        "'2GiB'",
        "Memory that the kernel takes from the instance last, when the machine has too little. At most `memory`.",
    ),
    Key::new(
        "cpus",
        Kind::Cpus { min: 10, max: 4_096_000 },
        "2",
        "The maximum number of CPUs that it keeps busy, such as 2 or 0.5. An instance that wants more is slowed down.",
    ),
    Key::new(
        "processes",
        Kind::Count { min: 1, max: 4 << 20 },
        "256",
        "The maximum number of processes and threads at the same time. More can't be started. A program on Node.js \
         has about a dozen threads.",
    ),
    Key::new(
        "files",
        Kind::Count { min: 16, max: 1 << 30 },
        "4096",
        "The maximum number of open files of each process, as soft and hard limit. Unset: the limits that the \
         daemon was started with.",
    ),
];
