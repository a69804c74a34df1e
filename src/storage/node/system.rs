//! What the kernel does for mounts, one function each. The one file of this
//! half with `unsafe`: these system calls are in no crate that is here, and
//! each call is as small as it can be, with its arguments owned by safe code.
#![allow(unsafe_code)] // see above; tests/layering.rs keeps it to this file

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;

/// What a file system has room for, in octets and in inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Octets: all, used, free for everybody.
    pub octets: (u64, u64, u64),
    /// Inodes: all, used, free.
    pub inodes: (u64, u64, u64),
}

/// Makes what is mounted or lies at `from` seen at `to` as well.
pub fn bind(from: &Path, to: &Path) -> io::Result<()> {
    mount(Some(from), to, libc::MS_BIND)
}

/// Changes the options of the mount at `point` alone, as `flags` (MS_RDONLY,
/// MS_NOSUID, …) say; those that are not in it are taken away.
pub fn change(point: &Path, flags: u64) -> io::Result<()> {
    mount(None, point, libc::MS_REMOUNT | libc::MS_BIND | flags)
}

/// The bit of an option of [`super::mountinfo::Mount::options`].
pub fn flag(option: &str) -> u64 {
    match option {
        "ro" => libc::MS_RDONLY,
        "nosuid" => libc::MS_NOSUID,
        "nodev" => libc::MS_NODEV,
        "noexec" => libc::MS_NOEXEC,
        "noatime" => libc::MS_NOATIME,
        "nodiratime" => libc::MS_NODIRATIME,
        "relatime" => libc::MS_RELATIME,
        _ => 0,
    }
}

fn mount(from: Option<&Path>, to: &Path, flags: u64) -> io::Result<()> {
    let from = from.map(c_string).transpose()?;
    let to = c_string(to)?;
    let source = from.as_ref().map_or(ptr::null(), |from| from.as_ptr());
    // SAFETY: both strings live until the call returns, and a bind mount reads
    // neither type nor options.
    check(unsafe { libc::mount(source, to.as_ptr(), ptr::null(), flags, ptr::null()) })
}

/// Takes away the mount on top at `point`; follows no link. `detached`: at
/// once, also while it is in use; who has it open keeps it until it lets go.
pub fn unmount(point: &Path, detached: bool) -> io::Result<()> {
    let point = c_string(point)?;
    let detach = if detached { libc::MNT_DETACH } else { 0 };
    // SAFETY: the string lives until the call returns.
    check(unsafe { libc::umount2(point.as_ptr(), libc::UMOUNT_NOFOLLOW | detach) })
}

/// Asks the file system at `path` for its room: the question goes to its
/// process, so this also tells whether that lives (ENOTCONN: it does not). It
/// blocks as long as the process takes.
pub fn room(path: &Path) -> io::Result<Room> {
    let path = c_string(path)?;
    let mut told = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the string lives until the call returns, and the kernel has
    // filled the structure when that says 0.
    let told = unsafe {
        check(libc::statvfs(path.as_ptr(), told.as_mut_ptr()))?;
        told.assume_init()
    };
    let octets = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Ok(Room {
        octets: (
            octets(told.f_blocks),
            octets(told.f_blocks.saturating_sub(told.f_bfree)),
            octets(told.f_bavail),
        ),
        inodes: (
            told.f_files,
            told.f_files.saturating_sub(told.f_ffree),
            told.f_ffree,
        ),
    })
}

/// Lets `command` run in the mount namespace that `namespace` (a file such as
/// `/proc/1/ns/mnt`) stands for: its program, its files, its mounts.
pub fn run_in(command: &mut Command, namespace: File) {
    let enter = move || {
        // SAFETY: one system call on a descriptor that this closure owns.
        check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) })
    };
    // SAFETY: between fork and exec the closure makes one system call and
    // allocates nothing. The child has one thread, as setns(2) wants it.
    unsafe { command.pre_exec(enter) };
}

/// A copy of the mount at `from`, or of what lies at `below` in it, that is
/// nowhere yet: [`put`] puts it somewhere. Follows no link.
pub fn copy(from: &Path, below: &Path, options: &[String], read_only: bool) -> io::Result<OwnedFd> {
    let mut origin = open(libc::AT_FDCWD, &c_string(from)?, libc::RESOLVE_NO_SYMLINKS)?;
    let below = below.strip_prefix("/").unwrap_or(below);
    if !below.as_os_str().is_empty() {
        let inside = libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_BENEATH;
        origin = open(origin.as_raw_fd(), &c_string(below)?, inside)?;
    }
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as u32;
    // SAFETY: the path is a constant, the descriptor is open; the answer is a
    // new descriptor that is nobody else's.
    let tree = unsafe {
        let tree = libc::syscall(libc::SYS_open_tree, origin.as_raw_fd(), c"".as_ptr(), flags);
        owned(tree)?
    };
    let kept = options.iter().map(|option| attribute(option));
    let attributes = libc::mount_attr {
        attr_set: kept.fold(if read_only { attribute("ro") } else { 0 }, |sum, bit| {
            sum | bit
        }),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    if attributes.attr_set != 0 {
        // SAFETY: the structure is the kernel's own and lives until the call
        // returns; its size goes along.
        let set = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                tree.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_EMPTY_PATH,
                &raw const attributes,
                size_of::<libc::mount_attr>(),
            )
        };
        check(if set == 0 { 0 } else { -1 })?;
    }
    Ok(tree)
}

/// As [`flag`], for mount_setattr(2).
fn attribute(option: &str) -> u64 {
    match option {
        "ro" => libc::MOUNT_ATTR_RDONLY,
        "nosuid" => libc::MOUNT_ATTR_NOSUID,
        "nodev" => libc::MOUNT_ATTR_NODEV,
        "noexec" => libc::MOUNT_ATTR_NOEXEC,
        _ => 0,
    }
}

/// Puts `tree` on top of what is mounted at `point`, if that is of file system
/// `device` (major, minor); in the mount namespace `namespace`, or in this one.
///
/// It is done by a child that lives for these few calls and executes nothing.
/// What was there stays below, unseen: there is no moment at which a write
/// could fall through to the directory under it. No link is followed, also
/// where the namespace's owner changes paths meanwhile.
pub fn put(
    tree: OwnedFd,
    point: &Path,
    device: (u32, u32),
    namespace: Option<File>,
) -> io::Result<()> {
    let point = c_string(point)?;
    let work = move || {
        if let Some(namespace) = &namespace {
            // SAFETY: one call on a descriptor that this closure owns.
            check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNS) })?;
        }
        let there = open(libc::AT_FDCWD, &point, libc::RESOLVE_NO_SYMLINKS)?;
        if device_of(&there)? != device {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        let flags = libc::MOVE_MOUNT_F_EMPTY_PATH | libc::MOVE_MOUNT_T_EMPTY_PATH;
        // SAFETY: both descriptors are open, both paths are constants.
        let moved = unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                tree.as_raw_fd(),
                c"".as_ptr(),
                there.as_raw_fd(),
                c"".as_ptr(),
                flags,
            )
        };
        check(if moved == 0 { 0 } else { -1 })?;
        // Done: this error alone keeps the child from executing anything.
        Err(io::Error::from_raw_os_error(DONE))
    };
    let mut child = Command::new("/nothing");
    // SAFETY: between fork and exec the closure makes system calls on memory
    // that was made before, and allocates nothing (errors are numbers).
    unsafe { child.pre_exec(work) };
    match child.spawn() {
        Err(error) if error.raw_os_error() == Some(DONE) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("the child did nothing")),
    }
}

/// The child's word for success: no call above answers with it.
const DONE: i32 = libc::ECANCELED;

/// Opens a place without looking into it: what is dead does not mind.
fn open(at: RawFd, path: &CStr, resolve: u64) -> io::Result<OwnedFd> {
    // SAFETY: the kernel's structure is plain numbers, for which zero is fine.
    let mut how: libc::open_how = unsafe { MaybeUninit::zeroed().assume_init() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW) as u64;
    how.resolve = resolve;
    // SAFETY: path and structure live until the call returns; the structure's
    // size goes along. The answer is a new descriptor that is nobody else's.
    unsafe {
        owned(libc::syscall(
            libc::SYS_openat2,
            at,
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        ))
    }
}

/// The file system that something is on, from what the kernel knows by itself.
fn device_of(there: &OwnedFd) -> io::Result<(u32, u32)> {
    let mut told = MaybeUninit::<libc::statx>::uninit();
    // SAFETY: the path is a constant, the descriptor is open, and the kernel
    // has filled the structure when it says 0.
    let told = unsafe {
        check(libc::statx(
            there.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            0,
            told.as_mut_ptr(),
        ))?;
        told.assume_init()
    };
    Ok((told.stx_dev_major, told.stx_dev_minor))
}

/// The descriptor that a call answered with.
///
/// # Safety
/// `answer` is of a call that answers with a new descriptor, or a negative number.
unsafe fn owned(answer: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(answer) {
        // SAFETY: by this function's own condition.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends every process of the group that process `leader` leads.
pub fn end_group(leader: u32) {
    let Ok(leader) = i32::try_from(leader) else {
        return;
    };
    if leader > 1 {
        // SAFETY: kill(2) reads no memory. The group is of our own child, which
        // is not waited for yet, so its number is nobody else's.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_file_system_adds_up() {
        let room = room(Path::new("/")).expect("every system has a root");
        assert!(
            room.octets.0 > 0 && room.octets.1 <= room.octets.0,
            "{room:?}"
        );
        let missing = super::room(Path::new("/no/such/place")).expect_err("nothing there");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_not_mounted_cannot_be_taken_away() {
        assert!(unmount(Path::new("/proc/self/task"), false).is_err());
    }

    #[test]
    fn every_option_that_a_bind_mount_can_lose_has_its_bit() {
        for option in [
            "nosuid",
            "nodev",
            "noexec",
            "noatime",
            "nodiratime",
            "relatime",
        ] {
            assert_ne!(flag(option), 0, "{option}");
        }
        assert_eq!(flag("idmapped"), 0);
    }
}
