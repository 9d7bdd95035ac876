//! The UEFI side of the loader: the order of events from firmware to kernel.
//!
//! Everything that can fail comes before `exit_boot_services`; until then an error is shown and the firmware gets
//! the machine back. Modules, lowest first:
//! - [`pages`]: memory from the firmware.
//! - [`disk`]: files from the loader's own disk.
//! - [`firmware`]: what the firmware knows: memory map, screen, ACPI root, date.
//! - [`kernel`]: the kernel and its modules in memory.
//! - [`machine`]: control registers and interrupt controllers.
//! - [`handoff`]: the jump.

mod pages;
mod disk;
mod firmware;
mod kernel;
mod machine;
mod handoff;

use alloc::vec::Vec;
use core::convert::Infallible;

use loader::arena::{Arena, ArenaFull};
use loader::config::{self, Config, Protocol};
use loader::error::LoadError;
use loader::layout::{self, HHDM, Placement};
use loader::memory_map::{Kind, MapBuilder, MapFull, Region};
use loader::paging::{PageTables, pool_bytes_for};
use loader::protocol::Feature;
use loader::response::{self, Facts, FileFacts};
use uefi::boot::{self, MemoryType};
use uefi::proto::console::text::Color;
use uefi::{Status, entry, println, system};

use disk::Disk;
use kernel::{Kernel, Module};
use pages::Pages;

/// The least stack the protocol promises.
const LEAST_STACK: u64 = 64 << 10;
/// Room for all answers but the memory map and texts of unknown length.
const ARENA_SLACK: u64 = 16 << 10;
/// The firmware's map grows while the loader allocates; room for that many more entries is made.
const MAP_SLACK: usize = 64;

#[entry]
fn main() -> Status {
    // Or the firmware resets the machine after five minutes, even while somebody reads an error.
    let _ = boot::set_watchdog_timer(0, 0x1_0000, None);
    let Err(error) = run();
    set_color(Color::LightRed);
    println!("nacre loader: {error}");
    set_color(Color::LightGray);
    wait_for_key();
    Status::LOAD_ERROR
}

fn set_color(color: Color) {
    system::with_stdout(|out| {
        let _ = out.set_color(color, Color::Black);
    });
}

fn wait_for_key() {
    // Keys pressed before the question are no answer to it; those right after it are.
    let event = system::with_stdin(|input| {
        let _ = input.reset(false);
        input.wait_for_key_event()
    });
    println!("nacre loader: press any key to return to the firmware");
    if let Ok(event) = event {
        let _ = boot::wait_for_event(&[event]);
    }
}

/// Boots the kernel; comes back only with the reason why not.
fn run() -> Result<Infallible, LoadError> {
    machine::check()?;
    let mut disk = Disk::open()?;
    let config = read_config(&mut disk)?;
    let mut kernel = Kernel::load(&mut disk, &config)?;
    let modules = Module::load_all(&mut disk, &config)?;
    drop(disk);

    let facts = collect_facts(&kernel, &config, &modules);
    let owned = owned_regions(&kernel, &facts);
    let stack_size = kernel.argument(Feature::StackSize).unwrap_or(0).max(LEAST_STACK);
    let stack = Pages::allocate("the kernel's stack", stack_size)?;
    let io_apics = machine::io_apics(facts.rsdp);
    let mut builder = MapBuilder::with_capacity(firmware::map_length()? + owned.len() + MAP_SLACK);
    let mut arena_pages = Pages::allocate("answers to the kernel", arena_size(&facts, &builder))?;
    let arena_base = HHDM + arena_pages.address();
    let tables = build_tables(&kernel, &mut builder, &owned)?;
    let entry = kernel.argument(Feature::EntryPoint).unwrap_or(kernel.entry());

    // SAFETY: nothing in boot-services memory is used from here on: the disk is closed, the screen was only
    // looked at, and everything this program allocates is loader data.
    let map = unsafe { boot::exit_boot_services(Some(MemoryType::LOADER_DATA)) };
    machine::prepare(&io_apics);
    let mut arena = Arena::new(arena_pages.bytes(), arena_base);
    // Nobody is left to tell of an error: texts were measured and entries counted above, so there is none.
    let Ok(gdt) = answer(&mut kernel, &facts, &mut builder, &owned, &map, &mut arena) else {
        machine::halt()
    };
    let stack_top = HHDM + stack.address() + stack.length();
    handoff::jump(&handoff::Target { root: tables.address(), gdt, stack_top, entry })
}

fn read_config(disk: &mut Disk) -> Result<Config, LoadError> {
    match disk.read_text("\\nacre.conf")? {
        Some(text) => Ok(config::parse(&text)?),
        None => Ok(Config::default()),
    }
}

fn collect_facts(kernel: &Kernel, config: &Config, modules: &[Module]) -> Facts {
    Facts {
        hhdm: HHDM,
        rsdp: firmware::rsdp(),
        framebuffer: firmware::framebuffer(),
        boot_time: firmware::unix_time(),
        kernel: FileFacts { cmdline: config.cmdline.clone(), ..kernel.file_facts() },
        modules: modules.iter().map(Module::facts).collect(),
        image_physical_base: kernel.physical_base(),
        image_virtual_base: kernel.virtual_base(),
    }
}

/// What the firmware's map shows as the loader's but the kernel must keep, and the null page.
fn owned_regions(kernel: &Kernel, facts: &Facts) -> Vec<Region> {
    let mut regions = alloc::vec![Region::covering(0, 1, Kind::Reserved)];
    let image = (kernel.physical_base(), kernel.image_size());
    let files = facts.modules.iter().chain([&facts.kernel]).map(|file| (file.physical_address, file.size));
    regions.extend(
        files.chain([image]).map(|(base, length)| Region::covering(base, length, Kind::ExecutableAndModules)),
    );
    regions.extend(
        facts
            .framebuffer
            .map(|screen| Region::covering(screen.physical_address, screen.size, Kind::Framebuffer)),
    );
    regions
}

fn arena_size(facts: &Facts, builder: &MapBuilder) -> u64 {
    let files = facts.modules.iter().chain([&facts.kernel]);
    let texts: usize = files.map(|file| file.path.len() + file.cmdline.len() + 256).sum();
    // 24 bytes for an entry and 8 for the pointer to it; the command line is stored twice.
    (2 * texts + 32 * builder.most_entries()) as u64 + ARENA_SLACK
}

/// Builds the kernel's page tables; the first page of what is returned is the root.
fn build_tables(kernel: &Kernel, builder: &mut MapBuilder, owned: &[Region]) -> Result<Pages, LoadError> {
    let map = boot::memory_map(MemoryType::LOADER_DATA)
        .map_err(|error| LoadError::NoMemoryMap(alloc::format!("{:?}", error.status())))?;
    let too_long = |MapFull| LoadError::NoMemoryMap("it keeps growing".into());
    fill(builder, &map, owned).map_err(too_long)?;
    let placement = Placement { image: kernel.physical_base(), switch: handoff::pages() };
    let mappings = layout::mappings(builder.build(), kernel.base_revision(), kernel.plan(), placement)
        .map_err(too_long)?;
    let pool_size = 4096 + mappings.iter().map(pool_bytes_for).sum::<u64>();
    let mut pool = Pages::allocate("page tables", pool_size)?;
    let pool_base = pool.address();
    let mut tables = PageTables::new(pool.bytes(), pool_base);
    for mapping in &mappings {
        tables.map(mapping).map_err(|_| LoadError::NoMemory("page tables", pool_size))?;
    }
    Ok(pool)
}

fn fill(
    builder: &mut MapBuilder,
    map: &impl uefi::mem::memory_map::MemoryMap,
    owned: &[Region],
) -> Result<(), MapFull> {
    builder.clear();
    owned
        .iter()
        .copied()
        .chain(map.entries().map(firmware::region))
        .try_for_each(|region| builder.add(region))
}

/// Builds the final memory map, answers the kernel, and returns where the segment descriptors are.
fn answer(
    kernel: &mut Kernel,
    facts: &Facts,
    builder: &mut MapBuilder,
    owned: &[Region],
    map: &impl uefi::mem::memory_map::MemoryMap,
    arena: &mut Arena<'_>,
) -> Result<u64, ArenaFull> {
    fill(builder, map, owned).map_err(|MapFull| ArenaFull)?;
    if kernel.protocol() == Protocol::Limine {
        let (image, requests) = kernel.image_and_requests();
        response::answer_all(image, requests, facts, builder.build(), arena)?;
    }
    handoff::put_gdt(arena)
}
