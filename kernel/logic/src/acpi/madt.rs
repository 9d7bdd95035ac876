//! CPUs and interrupt controllers: the MADT (ACPI 6.5, section 5.2.12).

use super::list::List;
use super::table::{AcpiError, Fields, Problem, Table};
use crate::addr::PhysAddr;

/// CPUs we have room for; more are counted and left alone.
pub const MAX_CPUS: usize = 256;

const FIXED_BYTES: usize = 44;

/// The ID of all local APICs together.
const ALL_XAPICS: u32 = 0xff;

/// Whether a CPU can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuState {
    /// Now.
    Enabled,
    /// When the machine adds it.
    OnlineCapable,
}

/// A CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// The ID of its local APIC or x2APIC.
    pub apic_id: u32,
    /// What the AML and the NMI records call it.
    pub processor_uid: u32,
    /// Whether it can be used.
    pub state: CpuState,
}

/// An IO-APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    /// Its ID.
    pub id: u8,
    /// Its registers.
    pub address: PhysAddr,
    /// The global number of its first pin.
    pub first_interrupt: u32,
}

/// The active level of an interrupt line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polarity {
    /// As on the bus: high for ISA.
    Conforms,
    /// High.
    High,
    /// Low.
    Low,
}

/// What an interrupt line signals with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// As on the bus: edge for ISA.
    Conforms,
    /// Its edge.
    Edge,
    /// Its level.
    Level,
}

/// How an interrupt line signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signalling {
    /// The active level.
    pub polarity: Polarity,
    /// Edge or level.
    pub trigger: Trigger,
}

/// An ISA interrupt that is not wired to the pin of its own number, or not as ISA signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterruptOverride {
    /// The ISA number.
    pub isa_interrupt: u8,
    /// The global number of the pin.
    pub interrupt: u32,
    /// How it signals.
    pub signalling: Signalling,
}

/// A pin of an IO-APIC that is to deliver an NMI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NmiSource {
    /// The global number of the pin.
    pub interrupt: u32,
    /// How it signals.
    pub signalling: Signalling,
}

/// A pin of local APICs that is to deliver an NMI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalNmi {
    /// Whose APIC, `None` for all.
    pub processor_uid: Option<u32>,
    /// LINT0 or LINT1.
    pub pin: u8,
    /// How it signals.
    pub signalling: Signalling,
}

/// CPUs and interrupt controllers.
#[derive(Clone, Debug)]
pub struct Madt {
    /// The local APICs' registers.
    pub local_apic: PhysAddr,
    /// Whether there are also two 8259s, to be masked.
    pub has_legacy_pics: bool,
    /// CPUs that can be used, now or later, in the firmware's order, each once.
    pub cpus: List<Cpu, MAX_CPUS>,
    /// CPUs beyond those.
    pub cpus_left_out: u32,
    /// IO-APICs.
    pub io_apics: List<IoApic, 16>,
    /// ISA interrupts that are wired differently.
    pub overrides: List<InterruptOverride, 24>,
    /// NMIs through IO-APICs.
    pub nmi_sources: List<NmiSource, 16>,
    /// NMIs at local APICs.
    pub local_nmis: List<LocalNmi, MAX_CPUS>,
}

impl Madt {
    /// Decodes the table.
    ///
    /// # Errors
    /// `TooShort`, `BadRecord`, and `TooMany` for anything but CPUs.
    pub fn parse(table: &Table<'_>) -> Result<Self, AcpiError> {
        table.require(FIXED_BYTES)?;
        let fields = table.fields();
        let mut madt = Self::empty();
        madt.local_apic = PhysAddr::new(fields.word(36).unwrap_or(0).into());
        madt.has_legacy_pics = fields.word(40).is_some_and(|flags| flags & 1 != 0);
        for record in table.records(FIXED_BYTES) {
            let (kind, record) = record?;
            let added = madt.add(kind, record).unwrap_or(Err(Problem::BadRecord));
            added.map_err(|problem| table.error(problem))?;
        }
        Ok(madt)
    }

    /// The pin of an ISA interrupt, and how it signals: edge and high unless the table says otherwise.
    pub fn isa_route(&self, isa_interrupt: u8) -> (u32, Signalling) {
        let exception = self.overrides.iter().find(|entry| entry.isa_interrupt == isa_interrupt);
        let plain = Signalling { polarity: Polarity::Conforms, trigger: Trigger::Conforms };
        exception.map_or((isa_interrupt.into(), plain), |entry| (entry.interrupt, entry.signalling))
    }

    const fn empty() -> Self {
        let cpu = Cpu { apic_id: 0, processor_uid: 0, state: CpuState::Enabled };
        let io_apic = IoApic { id: 0, address: PhysAddr::ZERO, first_interrupt: 0 };
        let signalling = Signalling { polarity: Polarity::Conforms, trigger: Trigger::Conforms };
        Self {
            local_apic: PhysAddr::ZERO,
            has_legacy_pics: false,
            cpus: List::new(cpu),
            cpus_left_out: 0,
            io_apics: List::new(io_apic),
            overrides: List::new(InterruptOverride { isa_interrupt: 0, interrupt: 0, signalling }),
            nmi_sources: List::new(NmiSource { interrupt: 0, signalling }),
            local_nmis: List::new(LocalNmi { processor_uid: None, pin: 0, signalling }),
        }
    }

    /// Takes in one record, the numbers of the arms being table 5.21's; `None` when it is too short.
    fn add(&mut self, kind: u8, record: Fields<'_>) -> Option<Result<(), Problem>> {
        let added = match kind {
            0 => {
                let (uid, apic_id) = (record.byte(2)?.into(), record.byte(3)?.into());
                let flags = record.word(4)?;
                if apic_id != ALL_XAPICS {
                    self.add_cpu(apic_id, uid, flags);
                }
                true
            }
            1 => self.io_apics.push(io_apic(record)?).is_ok(),
            2 => self.overrides.push(interrupt_override(record)?).is_ok(),
            3 => {
                let (signalling, interrupt) = (signalling(record.half(2)?), record.word(4)?);
                self.nmi_sources.push(NmiSource { interrupt, signalling }).is_ok()
            }
            4 => {
                let uid = Some(record.byte(2)?).filter(|&uid| uid != u8::MAX).map(u32::from);
                self.add_local_nmi(uid, record.half(3)?, record.byte(5)?)
            }
            5 => {
                self.local_apic = PhysAddr::new(record.long(4)?);
                true
            }
            9 => {
                self.add_cpu(record.word(4)?, record.word(12)?, record.word(8)?);
                true
            }
            10 => {
                let uid = Some(record.word(4)?).filter(|&uid| uid != u32::MAX);
                self.add_local_nmi(uid, record.half(2)?, record.byte(8)?)
            }
            _ => true,
        };
        Some(if added { Ok(()) } else { Err(Problem::TooMany) })
    }

    /// Firmware may list a CPU as APIC and as x2APIC; it is one CPU.
    fn add_cpu(&mut self, apic_id: u32, processor_uid: u32, flags: u32) {
        let state = match flags & 3 {
            0 => return,
            2 => CpuState::OnlineCapable,
            _ => CpuState::Enabled,
        };
        if self.cpus.iter().any(|cpu| cpu.apic_id == apic_id) {
            return;
        }
        if self.cpus.push(Cpu { apic_id, processor_uid, state }).is_err() {
            self.cpus_left_out = self.cpus_left_out.saturating_add(1);
        }
    }

    fn add_local_nmi(&mut self, processor_uid: Option<u32>, flags: u16, pin: u8) -> bool {
        self.local_nmis.push(LocalNmi { processor_uid, pin, signalling: signalling(flags) }).is_ok()
    }
}

fn io_apic(record: Fields<'_>) -> Option<IoApic> {
    let address = PhysAddr::new(record.word(4)?.into());
    Some(IoApic { id: record.byte(2)?, address, first_interrupt: record.word(8)? })
}

fn interrupt_override(record: Fields<'_>) -> Option<InterruptOverride> {
    let (isa_interrupt, interrupt) = (record.byte(3)?, record.word(4)?);
    Some(InterruptOverride { isa_interrupt, interrupt, signalling: signalling(record.half(8)?) })
}

/// The MPS INTI flags of table 5.26; reserved values are taken as "conforms".
fn signalling(flags: u16) -> Signalling {
    let polarity = match flags & 3 {
        1 => Polarity::High,
        3 => Polarity::Low,
        _ => Polarity::Conforms,
    };
    let trigger = match flags >> 2 & 3 {
        1 => Trigger::Edge,
        3 => Trigger::Level,
        _ => Trigger::Conforms,
    };
    Signalling { polarity, trigger }
}
