//! NUMA nodes: the SRAT (ACPI 6.5, section 5.2.16).

use super::list::List;
use super::madt::MAX_CPUS;
use super::table::{AcpiError, Fields, Problem, Table};
use crate::addr::PhysAddr;
use crate::zones::{NodeId, NodeRange};

/// Nodes and memory ranges we have room for.
pub const MAX_NODES: usize = 64;

const FIXED_BYTES: usize = 48;
const FLAG_ENABLED: u32 = 1;

/// Which node a CPU belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuNode {
    /// The ID of its local APIC.
    pub apic_id: u32,
    /// Its node.
    pub node: NodeId,
}

/// Which CPUs and which memory belong together.
#[derive(Clone, Debug)]
pub struct Srat {
    /// The firmware's number of each node; [`NodeId`] is the place in this list.
    pub domains: List<u32, MAX_NODES>,
    /// Which memory belongs to which node.
    pub memory: List<NodeRange, MAX_NODES>,
    /// Which CPU belongs to which node; CPUs past the room for them are left out.
    pub cpus: List<CpuNode, MAX_CPUS>,
}

impl Srat {
    /// Decodes the table.
    ///
    /// # Errors
    /// `TooShort`, `BadRecord`, and `TooMany` for nodes and memory.
    pub fn parse(table: &Table<'_>) -> Result<Self, AcpiError> {
        table.require(FIXED_BYTES)?;
        // The first revision has domains of 8 bits and leaves garbage in the rest of the field.
        let domain_mask = if table.revision() < 2 { 0xff } else { u32::MAX };
        let mut srat = Self::empty();
        for record in table.records(FIXED_BYTES) {
            let (kind, record) = record?;
            let added = srat.add(kind, record, domain_mask).unwrap_or(Err(Problem::BadRecord));
            added.map_err(|problem| table.error(problem))?;
        }
        Ok(srat)
    }

    /// The node of a CPU; node 0 when the table does not say.
    pub fn node_of(&self, apic_id: u32) -> NodeId {
        self.cpus.iter().find(|cpu| cpu.apic_id == apic_id).map_or(NodeId::ZERO, |cpu| cpu.node)
    }

    const fn empty() -> Self {
        let (node, start, end) = (NodeId::ZERO, PhysAddr::ZERO, PhysAddr::ZERO);
        Self {
            domains: List::new(0),
            memory: List::new(NodeRange { node, start, end }),
            cpus: List::new(CpuNode { apic_id: 0, node }),
        }
    }

    /// Takes in one record; `None` when it is too short.
    fn add(&mut self, kind: u8, record: Fields<'_>, domain_mask: u32) -> Option<Result<(), Problem>> {
        match kind {
            0 => {
                let domain = u32::from_le_bytes([
                    record.byte(2)?,
                    record.byte(9)?,
                    record.byte(10)?,
                    record.byte(11)?,
                ]);
                Some(self.add_cpu(record.byte(3)?.into(), domain & domain_mask, record.word(4)?))
            }
            1 => {
                let domain = record.word(2)? & domain_mask;
                Some(self.add_memory(domain, record.long(8)?, record.long(16)?, record.word(28)?))
            }
            2 => Some(self.add_cpu(record.word(8)?, record.word(4)?, record.word(12)?)),
            _ => Some(Ok(())),
        }
    }

    fn add_cpu(&mut self, apic_id: u32, domain: u32, flags: u32) -> Result<(), Problem> {
        if flags & FLAG_ENABLED != 0 {
            let node = self.node(domain)?;
            // The MADT leaves out the same CPUs, so nobody asks about them.
            let _ = self.cpus.push(CpuNode { apic_id, node });
        }
        Ok(())
    }

    fn add_memory(&mut self, domain: u32, start: u64, len: u64, flags: u32) -> Result<(), Problem> {
        if flags & FLAG_ENABLED == 0 || len == 0 {
            return Ok(());
        }
        let end = start.checked_add(len).ok_or(Problem::BadRecord)?;
        let (node, start, end) = (self.node(domain)?, PhysAddr::new(start), PhysAddr::new(end));
        self.memory.push(NodeRange { node, start, end }).map_err(|_| Problem::TooMany)
    }

    /// The node of a domain, a new one when it was not named before.
    fn node(&mut self, domain: u32) -> Result<NodeId, Problem> {
        let known = self.domains.iter().position(|&known| known == domain);
        let place = known.unwrap_or(self.domains.len());
        if known.is_none() {
            self.domains.push(domain).map_err(|_| Problem::TooMany)?;
        }
        u8::try_from(place).map(NodeId::new).map_err(|_| Problem::TooMany)
    }
}
