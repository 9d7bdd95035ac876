//! What the firmware's tables say about this machine, read once into one record.
//!
//! Two steps: `init` parses the tables while nothing can be allocated (their memory is in the direct map), `map_devices`
//! maps the registers they name. Without tables the machine has one CPU, the legacy timer and no power switch.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt;

use logic::acpi::madt::{CpuState, Polarity, Signalling, Trigger};
use logic::acpi::{
    self as tables, AcpiError, Fadt, List, Madt, Mcfg, Memory, PciWindow, Register, Root, Signature, Space,
    Srat, VirtioPlace, s5_values,
};
use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr, align_down};
use logic::zones::NodeRange;

use super::clock::{Hpet, PmTimer};
use super::cpu::{Feature, has};
use super::power::FirmwareRegister;
use crate::cpu::MAX_CPUS;
use crate::memory;
use crate::mmio::{self, Mmio};
use crate::paging::Tables;
use crate::spin::Once;
use crate::tables::DirectTables;

const MAX_NODES: usize = 16;
const MAX_IO_APICS: usize = 16;
const MAX_PCI_WINDOWS: usize = 4;
const ISA_INTERRUPTS: usize = 16;

/// How to turn the machine off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    /// Status of fixed hardware; two ports on, what may interrupt.
    pub(crate) event: Option<u16>,
    /// The interrupt of that.
    pub(crate) interrupt: Option<u8>,
    pub(crate) sleep_types: (u8, u8),
    pub(crate) control_a: Option<u16>,
    pub(crate) control_b: Option<u16>,
    pub(crate) sleep_control: Option<FirmwareRegister>,
    /// Port and value that take the power registers over from the firmware.
    pub(crate) mode_switch: Option<(u16, u8)>,
}

/// One IO-APIC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoApic {
    pub(crate) base: u64,
    /// The global number of its first input.
    pub(crate) first: u32,
}

/// Where one of the sixteen interrupts of an ISA bus arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsaRoute {
    /// The global number of the input.
    pub(crate) input: u32,
    pub(crate) signalling: Signalling,
}

/// The machine.
pub(crate) struct Platform {
    /// APIC ids of the other CPUs, in the firmware's order.
    pub(crate) other_cpus: [u32; MAX_CPUS],
    pub(crate) other_cpu_count: usize,
    pub(crate) hpet: Option<Hpet>,
    pub(crate) pm_timer: Option<PmTimer>,
    pub(crate) power: Option<Power>,
    pub(crate) reset: Option<(FirmwareRegister, u8)>,
    io_apics: [Option<IoApic>; MAX_IO_APICS],
    isa_routes: [Option<IsaRoute>; ISA_INTERRUPTS],
}

impl Platform {
    const fn without_acpi() -> Self {
        Platform {
            other_cpus: [0; MAX_CPUS],
            other_cpu_count: 0,
            hpet: None,
            pm_timer: None,
            power: None,
            reset: None,
            io_apics: [None; MAX_IO_APICS],
            isa_routes: [None; ISA_INTERRUPTS],
        }
    }

    /// Where ISA interrupt `number` arrives.
    pub(crate) fn isa_route(&self, number: u8) -> Option<IsaRoute> {
        *self.isa_routes.get(usize::from(number))?
    }

    /// The IO-APICs.
    pub(crate) fn io_apics(&self) -> impl Iterator<Item = &IoApic> {
        self.io_apics.iter().flatten()
    }
}

/// What `init` read, before anything is mapped.
struct Parsed {
    has_root: bool,
    first_problem: Option<AcpiError>,
    other_cpus: [u32; MAX_CPUS],
    other_cpu_count: usize,
    cpus_left_out: usize,
    io_apics: [Option<(PhysAddr, u32)>; MAX_IO_APICS],
    isa_routes: [Option<IsaRoute>; ISA_INTERRUPTS],
    hpet: Option<PhysAddr>,
    fadt: Option<Fadt>,
    pci_windows: [Option<PciWindow>; MAX_PCI_WINDOWS],
    sleep_types: Option<(u8, u8)>,
    nodes: [Option<NodeRange>; MAX_NODES],
}

static PARSED: Once<Parsed> = Once::new();
static PLATFORM: Once<Platform> = Once::new();
static NONE: Platform = Platform::without_acpi();

/// Physical memory through the direct map.
struct DirectMemory;

impl Memory for DirectMemory {
    fn bytes(&self, address: PhysAddr, len: usize) -> Option<&[u8]> {
        let end = address.get().checked_add(len as u64)?;
        let kernel = Tables::new(memory::kernel_root(), DirectTables);
        let mut page = align_down(address.get(), PAGE_SIZE);
        while page < end {
            kernel.lookup(VirtAddr::new(memory::direct_base().checked_add(page)?))?;
            page += PAGE_SIZE;
        }
        // SAFETY: every page is mapped; it is firmware memory, which nobody writes while its tables are read.
        Some(unsafe { core::slice::from_raw_parts(memory::direct(address), len) })
    }
}

/// Reads the tables. `root` is what the loader said; without it the BIOS areas are searched.
pub(crate) fn init(root: Option<PhysAddr>) {
    let mut parsed = Parsed {
        has_root: false,
        first_problem: None,
        other_cpus: [0; MAX_CPUS],
        other_cpu_count: 0,
        cpus_left_out: 0,
        io_apics: [None; MAX_IO_APICS],
        isa_routes: [None; ISA_INTERRUPTS],
        hpet: None,
        fadt: None,
        pci_windows: [None; MAX_PCI_WINDOWS],
        sleep_types: None,
        nodes: [None; MAX_NODES],
    };
    if let Some(root) = root.or_else(|| tables::find_rsdp(&DirectMemory)) {
        match Root::read(&DirectMemory, root) {
            Ok(root) => parsed.read_all(&root),
            Err(problem) => parsed.first_problem = Some(problem),
        }
    }
    PARSED.call_once(|| parsed);
}

impl Parsed {
    fn read_all(&mut self, root: &Root<'_>) {
        self.has_root = true;
        if let Some(madt) = self.read(root, Signature::MADT, Madt::parse) {
            self.note_cpus(&madt);
            for (slot, controller) in self.io_apics.iter_mut().zip(madt.io_apics.iter()) {
                *slot = Some((controller.address, controller.first_interrupt));
            }
            for (slot, number) in self.isa_routes.iter_mut().zip(0..) {
                let (input, signalling) = madt.isa_route(number);
                *slot = Some(IsaRoute { input, signalling });
            }
        }
        self.hpet = self.read(root, Signature::HPET, tables::Hpet::parse).map(|hpet| hpet.address);
        self.fadt = self.read(root, Signature::FADT, Fadt::parse);
        if let Some(fadt) = self.fadt {
            let dsdt = tables::Table::read(&DirectMemory, fadt.dsdt, Signature::DSDT);
            self.sleep_types = dsdt.ok().and_then(|dsdt| s5_values(dsdt.bytes()));
        }
        if let Some(mcfg) = self.read(root, Signature::MCFG, Mcfg::parse) {
            for (slot, window) in self.pci_windows.iter_mut().zip(mcfg.windows.iter()) {
                *slot = Some(*window);
            }
        }
        if let Some(srat) = self.read(root, Signature::SRAT, Srat::parse) {
            for (slot, range) in self.nodes.iter_mut().zip(srat.memory.iter()) {
                *slot = Some(*range);
            }
        }
    }

    fn read<T>(
        &mut self,
        root: &Root<'_>,
        name: Signature,
        parse: fn(&tables::Table<'_>) -> Result<T, AcpiError>,
    ) -> Option<T> {
        let read = root.table(&DirectMemory, name).and_then(|table| table.as_ref().map(parse).transpose());
        read.unwrap_or_else(|problem| {
            self.first_problem.get_or_insert(problem);
            None
        })
    }

    fn note_cpus(&mut self, madt: &Madt) {
        let own = own_apic_id();
        let reach = if has(Feature::X2Apic) { u32::MAX } else { 254 };
        for cpu in madt.cpus.iter().filter(|cpu| cpu.state == CpuState::Enabled && cpu.apic_id != own) {
            // One slot is the boot CPU's.
            if self.other_cpu_count + 1 < MAX_CPUS && cpu.apic_id <= reach {
                self.other_cpus[self.other_cpu_count] = cpu.apic_id;
                self.other_cpu_count += 1;
            } else {
                self.cpus_left_out += 1;
            }
        }
    }
}

fn own_apic_id() -> u32 {
    const EXTENDED_TOPOLOGY: u32 = 0xb;
    if has(Feature::X2Apic) && __cpuid(0).eax >= EXTENDED_TOPOLOGY {
        return __cpuid_count(EXTENDED_TOPOLOGY, 0).edx;
    }
    __cpuid(1).ebx >> 24
}

/// Maps the registers that the tables name.
///
/// # Errors
/// ENOMEM.
pub(crate) fn map_devices() -> abi::Result<()> {
    let Some(parsed) = PARSED.get() else { return Ok(()) };
    let mut platform = Platform {
        other_cpus: parsed.other_cpus,
        other_cpu_count: parsed.other_cpu_count,
        isa_routes: parsed.isa_routes,
        ..Platform::without_acpi()
    };
    if let Some(address) = parsed.hpet {
        platform.hpet = Some(Hpet { base: mmio::map(address, 1024)? });
    }
    if parsed.io_apics.iter().flatten().next().is_none() && has_standard_io_apic()? {
        platform.io_apics[0] = Some(IoApic { base: mmio::map(STANDARD_IO_APIC, 32)?, first: 0 });
        platform.isa_routes = standard_routes();
    }
    for (slot, &(address, first)) in platform.io_apics.iter_mut().zip(parsed.io_apics.iter().flatten()) {
        *slot = Some(IoApic { base: mmio::map(address, 32)?, first });
    }
    if let Some(fadt) = &parsed.fadt {
        platform.pm_timer = fadt
            .pm_timer
            .and_then(|timer| Some(PmTimer { port: port_of(timer.register)?, bits: timer.counter_bits }));
        if let Some(reset) = fadt.reset {
            platform.reset = firmware_register(reset.register)?.map(|register| (register, reset.value));
        }
        platform.power = power(fadt, parsed.sleep_types)?;
    }
    PLATFORM.call_once(|| platform);
    Ok(())
}

/// Where it is on every PC, and on microvm without tables.
const STANDARD_IO_APIC: PhysAddr = PhysAddr::new(0xfec0_0000);

/// Whether an IO-APIC answers there, though no table tells of one: its version register has few sensible values.
fn has_standard_io_apic() -> abi::Result<bool> {
    let base = mmio::map_table(STANDARD_IO_APIC, 32)?;
    Mmio::<u32>::at(base, 0).write(1);
    let [version, _, inputs, _] = Mmio::<u32>::at(base, 0x10).read().to_le_bytes();
    Ok((0x11..=0x20).contains(&version) && (15..240).contains(&inputs))
}

/// Each interrupt of the ISA bus at the input of its number.
fn standard_routes() -> [Option<IsaRoute>; ISA_INTERRUPTS] {
    let signalling = Signalling { polarity: Polarity::Conforms, trigger: Trigger::Conforms };
    let mut routes = [None; ISA_INTERRUPTS];
    for (route, input) in routes.iter_mut().zip(0..) {
        *route = Some(IsaRoute { input, signalling });
    }
    routes
}

fn power(fadt: &Fadt, sleep_types: Option<(u8, u8)>) -> abi::Result<Option<Power>> {
    let Some(sleep_types) = sleep_types else { return Ok(None) };
    let sleep_control = match fadt.sleep_control {
        Some(register) if fadt.is_hardware_reduced => firmware_register(register)?,
        _ => None,
    };
    Ok(Some(Power {
        sleep_types,
        event: fadt.pm1a_event.and_then(port_of),
        interrupt: u8::try_from(fadt.sci_interrupt).ok(),
        control_a: fadt.pm1a_control.and_then(port_of),
        control_b: fadt.pm1b_control.and_then(port_of),
        sleep_control,
        mode_switch: fadt
            .mode_switch
            .and_then(|switch| Some((u16::try_from(switch.port).ok()?, switch.enable))),
    }))
}

fn port_of(register: Register) -> Option<u16> {
    match register.space {
        Space::Port => u16::try_from(register.address).ok(),
        Space::Memory => None,
    }
}

fn firmware_register(register: Register) -> abi::Result<Option<FirmwareRegister>> {
    Ok(match register.space {
        Space::Port => port_of(register).map(FirmwareRegister::Port),
        Space::Memory => {
            let base = mmio::map(PhysAddr::new(register.address), 1)?;
            Some(FirmwareRegister::Memory(Mmio::at(base, 0)))
        }
    })
}

/// Runs `use_it` on the record; before it is read, on one that knows nothing.
pub(crate) fn with_platform<R>(use_it: impl FnOnce(&Platform) -> R) -> R {
    use_it(PLATFORM.get().unwrap_or(&NONE))
}

/// Where PCI configuration space lies in memory.
pub(crate) fn pci_windows() -> impl Iterator<Item = PciWindow> {
    PARSED.get().into_iter().flat_map(|parsed| parsed.pci_windows.iter().flatten()).copied()
}

/// Virtio devices in memory that the DSDT names.
pub(crate) fn virtio_places() -> Option<List<VirtioPlace, 32>> {
    let fadt = PARSED.get()?.fadt?;
    let dsdt = tables::Table::read(&DirectMemory, fadt.dsdt, Signature::DSDT).ok()?;
    Some(tables::virtio_places(dsdt.bytes()))
}

/// Copies the NUMA nodes' memory into `into`; says how many there are.
pub(crate) fn nodes(into: &mut [NodeRange]) -> usize {
    let known = PARSED.get().map_or(&[][..], |parsed| &parsed.nodes);
    let mut count = 0;
    for (slot, range) in into.iter_mut().zip(known.iter().flatten()) {
        *slot = *range;
        count += 1;
    }
    count
}

/// One line about the tables.
pub(crate) fn summary() -> impl fmt::Display {
    Summary
}

struct Summary;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parsed) = PARSED.get().filter(|parsed| parsed.has_root) else {
            f.write_str("no ACPI tables: going on with one CPU and without a power switch")?;
            return match PARSED.get().and_then(|parsed| parsed.first_problem) {
                Some(problem) => write!(f, " ({problem})"),
                None => Ok(()),
            };
        };
        let controllers = parsed.io_apics.iter().flatten().count();
        write!(f, "ACPI: {} CPUs, {controllers} IO-APICs", parsed.other_cpu_count + 1)?;
        if parsed.cpus_left_out > 0 {
            write!(f, " ({} more CPUs than this kernel drives)", parsed.cpus_left_out)?;
        }
        let nodes = parsed.nodes.iter().flatten().map(|range| range.node).max();
        if let Some(last) = nodes {
            write!(f, ", {} memory nodes", last.get() + 1)?;
        }
        match parsed.first_problem {
            Some(problem) => write!(f, "; ignored: {problem}"),
            None => Ok(()),
        }
    }
}
