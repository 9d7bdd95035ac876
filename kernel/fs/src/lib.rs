//! File systems: each locks, fetches, asks `logic` what to do, and stores.
//!
//! No file system knows a process or user memory; what they need from above comes through the traits they declare.
//! Modules, lowest first; each uses only those above it:
//! - [`identity`]: device numbers of file systems without a device, numbers of nameless files.
//! - [`pipe`]: pipes and what is behind FIFOs.
//! - [`tmpfs`]: files in memory.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod identity;
pub mod pipe;
pub mod tmpfs;
#[cfg(test)]
mod test_support;
pub mod devices { use abi::Result; use nucleus::vfs::ByteSink;
 pub fn register() -> Result<()> { Ok(()) }
 pub fn fill_random(to: &mut dyn ByteSink) -> Result<usize> { let mut n=0; while to.room()>0 { let b=hal::cpu::entropy().to_le_bytes(); n+=to.put(&b)?; } Ok(n) } }
pub mod devfs { use abi::{Errno,Result}; use alloc::sync::Arc; use nucleus::vfs::FileSystem; pub fn shared() -> Result<Arc<dyn FileSystem>> { Err(Errno::ENODEV) } }
pub mod initramfs {
 use abi::Result; use nucleus::vfs::*; use nucleus::vfs::change::Making; use logic::cred::Cred;
 pub fn unpack(archive: &[u8], root: &Place) -> Result<()> {
  let cred=Cred::root();
  for e in logic::cpio::entries(archive) { let Ok(e)=e else { return Err(abi::Errno::EINVAL) };
   let w=Walker{cred:&cred, root:root.clone(), start:root.clone()};
   let name=e.name.strip_prefix(b"./").unwrap_or(e.name); if name.is_empty()||name==b"." {continue;}
   let Some(kind)=FileKind::from_mode(e.mode) else {continue};
   let mut at=0; while let Some(p)=name[at..].iter().position(|&b|b==b'/') { let d=&name[..at+p]; at+=p+1; if d.is_empty(){continue;} let f=w.find(d,Last::Follow)?; if f.place.is_none(){ w.make(f,&Making{kind:FileKind::Directory,permissions:0o755,device_number:0,target:b""})?; } }
   let f=w.find(name,Last::Keep)?; if f.place.is_some(){continue;}
   let target: &[u8] = if kind==FileKind::Symlink {e.data} else {b""};
   let p=w.make(f,&Making{kind,permissions:e.mode&0o7777,device_number:abi::file::device_number(e.rdev.0,e.rdev.1),target})?;
   if kind==FileKind::Regular && !e.data.is_empty() { let o=w.open(p,2,true)?; let mut s=bytes::Slice(e.data); while s.0.len()>0 { o.write(&mut s,u64::MAX)?; } }
  } Ok(()) } }
