# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile: make install DESTDIR= PREFIX=/usr/local SYSCONFDIR=/etc
#
# Without DESTDIR, users and directories are made as well (systemd-sysusers, systemd-tmpfiles). An
# existing configuration stays as it is; the new one is put beside it. make uninstall removes what make
# install has put there, but for the configuration; make deb makes packages.

SYSTEMD_UNITS := $(notdir $(patsubst %.in,%,$(wildcard appliance/systemd/*.service.in)))
SYSTEMD_TIMERS := $(wildcard appliance/systemd/*.timer)
MAN_PAGES := $(wildcard appliance/man/*.[1-8]) $(B)/man/sallyport.yaml.5 \
	$(B)/man/sallyport-datapath.7 $(B)/man/sallyport-errors.7 $(B)/man/sallyport-operations.7 \
	$(B)/man/sallyport-events.7
# What operators read, run and hand to others.
SHARED := $(wildcard appliance/azure/* appliance/monitoring/* appliance/operations/*)
LIBDIR = $(DESTDIR)$(PREFIX)/lib
CONFIG = $(DESTDIR)$(SYSCONFDIR)/sallyport/sallyport.yaml

# Scripts first, then what they read.
mdoc_made = awk $(patsubst %,-f %,$(filter %.awk,$^)) $(filter-out %.awk,$^)

# The reference of the keys is the configuration file itself.
$(B)/man/sallyport.yaml.5: appliance/man/mdoc.awk appliance/man/sallyport.yaml.5.awk \
	appliance/sallyport.yaml
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(mdoc_made) > $@

# That of the counters are the tables of which the programs are made.
$(B)/man/sallyport-datapath.7: appliance/man/mdoc.awk appliance/man/sallyport-datapath.7.awk \
	bpf/abi.h bpf/maps.h userspace/base/counter.h appliance/man/sallyport-datapath.7.in
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(mdoc_made) > $@

# That of errors likewise.
$(B)/man/sallyport-errors.7: appliance/man/mdoc.awk appliance/man/sallyport-errors.7.awk \
	userspace/proxy/ending.h userspace/http/h1_error.h userspace/http/h2_error.h userspace/http/websocket.h \
	appliance/man/sallyport-errors.7.in
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(mdoc_made) > $@

# And that of operations.
$(B)/man/sallyport-operations.7: appliance/man/mdoc.awk appliance/man/sallyport-operations.7.awk \
	userspace/openai/operation_table.h appliance/man/sallyport-operations.7.in
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(mdoc_made) > $@

# That of events likewise.
$(B)/man/sallyport-events.7: appliance/man/mdoc.awk appliance/man/sallyport-events.7.awk \
	userspace/audit/schema.h userspace/audit/schema_azure.h appliance/man/sallyport-events.7.in
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$(mdoc_made) > $@

# Sentences may begin within a line.
check-man: $(MAN_PAGES)
	@echo "  man pages"
	@! mandoc -Tlint -Wwarning $(MAN_PAGES) | grep -v "new sentence, new line"

install: all $(MAN_PAGES)
	$(Q)install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(dir $(CONFIG))
	$(Q)install -m 755 $(wildcard $(B)/sallyportd $(B)/sallyport-collector) $(DESTDIR)$(PREFIX)/sbin
	$(Q)install -m 755 $(B)/sallyport $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 644 appliance/sallyport.yaml $(CONFIG)$$(! test -e $(CONFIG) || echo .new)
	$(Q)install -d $(LIBDIR)/systemd/system $(LIBDIR)/systemd/networkd.conf.d $(LIBDIR)/sysusers.d \
		$(LIBDIR)/tmpfiles.d $(LIBDIR)/sysctl.d
	$(Q)for unit in $(SYSTEMD_UNITS); do \
		sed 's|@PREFIX@|$(PREFIX)|g' appliance/systemd/$$unit.in > $(LIBDIR)/systemd/system/$$unit && \
		chmod 644 $(LIBDIR)/systemd/system/$$unit || exit 1; done
	$(Q)install -m 644 $(SYSTEMD_TIMERS) $(LIBDIR)/systemd/system
	$(Q)install -m 644 appliance/systemd/sysusers.conf $(LIBDIR)/sysusers.d/sallyport.conf
	$(Q)install -m 644 appliance/systemd/sysusers-collector.conf \
		$(LIBDIR)/sysusers.d/sallyport-collector.conf
	$(Q)install -D -m 644 appliance/bash-completion/sallyport \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sallyport
	$(Q)install -m 644 appliance/systemd/tmpfiles.conf $(LIBDIR)/tmpfiles.d/sallyport.conf
	$(Q)install -m 644 appliance/systemd/sysctl.conf $(LIBDIR)/sysctl.d/50-sallyport.conf
	$(Q)install -m 644 appliance/systemd/networkd.conf \
		$(LIBDIR)/systemd/networkd.conf.d/50-sallyport.conf
	$(Q)for file in $(SHARED); do install -D -m $$(test -x $$file && echo 755 || echo 644) $$file \
		$(DESTDIR)$(PREFIX)/share/sallyport/$${file#appliance/} || exit 1; done
	$(Q)for page in $(MAN_PAGES); do \
		install -D -m 644 $$page \
			$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	$(Q)if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then \
		systemd-sysusers $(LIBDIR)/sysusers.d/sallyport.conf \
			$(LIBDIR)/sysusers.d/sallyport-collector.conf && \
		systemd-tmpfiles --create $(LIBDIR)/tmpfiles.d/sallyport.conf; fi
	@echo "  installed to $(DESTDIR)$(PREFIX). What is still to do:"
	@echo "    sysctl --system                        kernel settings of a router, in force now"
	@echo "    systemctl restart systemd-networkd     where it runs: it must let our routes be"
	@echo "    systemctl daemon-reload"
	@echo "    sallyport ca init                      or ca import; then ca export for the clients"
	@echo "    \$$EDITOR $(CONFIG)    datapath.inside at least"
	@echo "    sallyport check"
	@echo "    systemctl enable sallyport-shut        forwards nothing before sallyportd is there"
	@echo "    systemctl enable --now sallyport-collector sallyportd sallyport-selftest.timer"
	@echo "    sallyport selftest                     is this machine inspecting?"

# All that make install puts somewhere, but for the configuration.
INSTALLED = $(DESTDIR)$(PREFIX)/sbin/sallyportd $(DESTDIR)$(PREFIX)/sbin/sallyport-collector \
	$(DESTDIR)$(PREFIX)/bin/sallyport \
	$(addprefix $(LIBDIR)/systemd/system/,$(SYSTEMD_UNITS) $(notdir $(SYSTEMD_TIMERS))) \
	$(LIBDIR)/sysusers.d/sallyport.conf $(LIBDIR)/sysusers.d/sallyport-collector.conf \
	$(LIBDIR)/tmpfiles.d/sallyport.conf $(LIBDIR)/sysctl.d/50-sallyport.conf \
	$(LIBDIR)/systemd/networkd.conf.d/50-sallyport.conf \
	$(DESTDIR)$(PREFIX)/share/bash-completion/completions/sallyport \
	$(SHARED:appliance/%=$(DESTDIR)$(PREFIX)/share/sallyport/%) \
	$(foreach page,$(MAN_PAGES),$(DESTDIR)$(PREFIX)/share/man/man$(lastword \
		$(subst ., ,$(page)))/$(notdir $(page)))

uninstall:
	$(Q)if [ -z "$(DESTDIR)" ] && [ -e /sys/fs/bpf/sallyport ]; then \
		$(PREFIX)/bin/sallyport detach || { \
		echo "  first: systemctl disable --now sallyportd" >&2; exit 1; }; fi
	$(Q)[ -n "$(DESTDIR)" ] || nft delete table inet sallyport_shut 2>/dev/null || :
	$(Q)rm -f $(INSTALLED)
	$(Q)rmdir $(DESTDIR)$(PREFIX)/share/sallyport/* $(DESTDIR)$(PREFIX)/share/sallyport 2>/dev/null || :
	@echo "  removed from $(DESTDIR)$(PREFIX); left: $(dir $(CONFIG)), /var/spool/sallyport," \
		"/var/lib/sallyport and the users sallyport-*"

man: $(MAN_PAGES)

deb:
	@appliance/deps package
	@appliance/package $(VERSION)
