use std::fs;
use std::path::Path;
use std::thread;

use rustix::process::{Resource, getrlimit};

/// What the allocator of glibc sets aside for each thread, most of it never used.
const ARENA_BYTES: u64 = 64 << 20;
/// Threads of a database beside one for each core, and some of the application.
const THREADS: u64 = 6;

/// Bytes that a database of this process should make do with: three quarters of the memory that the
/// machine has and its control groups allow, and of the address space that is left when the program
/// and each thread, for which the allocator sets some aside, have theirs.
pub(crate) fn memory_of_machine() -> u64 {
    let info = rustix::system::sysinfo();
    let physical = (info.totalram as u64).saturating_mul(u64::from(info.mem_unit.max(1)));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = least_of_groups(&groups, Path::new("/sys/fs/cgroup"));
    let memory = physical.min(groups.unwrap_or(u64::MAX));
    let limits = [Resource::As, Resource::Data].map(|what| getrlimit(what).current);
    let address_space = limits.into_iter().flatten().min().map_or(u64::MAX, |limit| {
        let threads =
            thread::available_parallelism().map_or(1, |cores| cores.get() as u64) + THREADS;
        let taken = ARENA_BYTES.saturating_mul(threads).saturating_add(address_space_taken());
        limit.saturating_sub(taken).max(limit / 6)
    });
    memory.min(address_space) / 4 * 3
}

/// Bytes of it that this process takes as it is: the program and its libraries.
fn address_space_taken() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    pages.unwrap_or(0).saturating_mul(rustix::param::page_size() as u64)
}

/// The least limit of the control groups named in `groups`, the contents of `/proc/self/cgroup`, and
/// of those that they are in. A container sees its own group as the root.
fn least_of_groups(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let path = Path::new(path.trim_start_matches('/'));
        match controllers {
            "" => least_on_path(root, path, "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                least_on_path(&root.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.min()
}

fn least_on_path(root: &Path, path: &Path, file: &str) -> Option<u64> {
    let limits = path.ancestors().filter_map(|group| {
        let limit = fs::read_to_string(root.join(group).join(file)).ok()?;
        // Without a limit it says `max`, or a number that nothing reaches.
        limit.trim().parse().ok()
    });
    limits.min()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make what the system says")]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, contents: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_around_it_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(least_of_groups("0::/a/b\n", root), None);
        write(root, "a/memory.max", "2147483648\n");
        write(root, "a/b/memory.max", "max\n");
        assert_eq!(least_of_groups("0::/a/b\n", root), Some(2 << 30));
        write(root, "a/b/memory.max", "1073741824\n");
        assert_eq!(least_of_groups("0::/a/b\n", root), Some(1 << 30));
        assert_eq!(least_of_groups("0::/a\n", root), Some(2 << 30));
        // The names are of the host, the files of the container.
        write(root, "memory/memory.limit_in_bytes", "536870912\n");
        let groups = "5:cpu:/docker/x\n4:memory:/docker/x\n0::/a\n";
        assert_eq!(least_of_groups(groups, root), Some(512 << 20));
        assert_eq!(least_of_groups("what is this", root), None);
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(memory_of_machine() >= 1 << 20);
    }
}
