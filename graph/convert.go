package graph

import (
	"context"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"github.com/softacs/softacs/graph/model"
	"github.com/softacs/softacs/graph/types"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/devices"
	"github.com/softacs/softacs/models/diagnostics"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/packages"
	"github.com/softacs/softacs/models/tasks"
	"github.com/softacs/softacs/models/webhooks"
)

// pointsPerMinute is what an API client may spend; nothing counts it yet.
const pointsPerMinute = 6000

func pointers[T any](list []T) []*T {
	all := make([]*T, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}

func version(o graphql.Omittable[*int]) *int64 {
	if o.Value() == nil {
		return nil
	}
	n := int64(*o.Value())
	return &n
}

// expected is a version for rooms that take 0 for none given: no row has version 0, so whoever expects it expects wrongly.
func expected(o graphql.Omittable[*int]) int64 {
	if v := version(o); v != nil && *v == 0 {
		return -1
	}
	return deref(version(o))
}

// target is the row that a save changes; the zero ID, when no id is given, makes a row. An id of another kind names nothing.
func target(kind models.Kind, o graphql.Omittable[*models.Subject]) (models.ID, error) {
	if o.Value() == nil {
		return models.ID{}, nil
	}
	if id := idOf(kind, *o.Value()); !id.IsZero() {
		return id, nil
	}
	return models.ID{}, models.E(models.NotFound, "there is no such row", "input", "id")
}

func accountRef(ref *model.AccountRef) accounts.Ref {
	if ref == nil {
		return accounts.Ref{}
	}
	return accounts.Ref{
		ID: idOf(models.KindAccount, given(ref.ID)), ExternalID: given(ref.ExternalID), Msisdn: given(ref.Msisdn), IMPU: given(ref.Impu),
	}
}

func deviceRef(ref *model.DeviceRef) devices.Ref {
	if identity := ref.Identity.Value(); identity != nil {
		return devices.Ref{Identity: &devices.Identity{OUI: identity.Oui, ProductClass: identity.ProductClass, SerialNumber: identity.SerialNumber}}
	}
	return devices.Ref{ID: idOf(models.KindDevice, given(ref.ID))}
}

func accountFilter(f *model.AccountFilter) accounts.Filter {
	if f == nil {
		return accounts.Filter{}
	}
	updated := given(f.Updated)
	return accounts.Filter{
		States: f.States.Value(), Region: given(f.Region), MsisdnPrefix: given(f.MsisdnPrefix), Text: given(f.Text),
		UpdatedFrom: updated.From, UpdatedTo: updated.To,
	}
}

// deviceFilter looks up the account of boundTo; one that is not there, or out of reach, has no devices.
func (s *server) deviceFilter(ctx context.Context, f *model.DeviceFilter) (devices.Filter, error) {
	if f == nil {
		return devices.Filter{}, nil
	}
	filter := devices.Filter{
		ClientTypes: f.ClientTypes.Value(), Models: f.Models.Value(), SoftwareVersions: f.SoftwareVersions.Value(), TagsAll: f.TagsAll.Value(),
		TagsAny: f.TagsAny.Value(), Reachability: f.Reachability.Value(), Regions: f.Regions.Value(), IDs: idsOf(models.KindDevice, f.Ids.Value()),
		Text: given(f.Text),
	}
	if ref := f.BoundTo.Value(); ref != nil {
		a, err := s.Accounts.ByRef(ctx, accountRef(ref))
		if err != nil {
			return filter, err
		}
		filter.BoundTo = new(models.ID)
		if a != nil {
			filter.BoundTo = &a.ID
		}
	}
	return filter, nil
}

func eventFilter(f *model.EventFilter) events.Filter {
	if f == nil {
		return events.Filter{}
	}
	var subjects []models.ID
	for _, s := range f.SubjectIds.Value() {
		subjects = append(subjects, s.ID)
	}
	return events.Filter{
		Types: f.Types.Value(), Subjects: subjects, ClientTypes: f.ClientTypes.Value(), Accounts: idsOf(models.KindAccount, f.AccountIds.Value()),
		Devices: idsOf(models.KindDevice, f.DeviceIds.Value()), Regions: f.Regions.Value(),
	}
}

func (s *server) events(ctx context.Context, f events.Filter, after string, first int) (*model.EventConnection, error) {
	batch, err := s.Events.Read(ctx, f, after, first)
	if err != nil {
		return nil, err
	}
	return eventConnection(ctx, batch.Events, batch.Cursors, batch.HasNext, after, batch.End, batch.Horizon), nil
}

// services reads the list of services. Parameters are an object, or nothing.
func services(list []*model.ServiceFeatureInput) ([]accounts.ServiceInput, error) {
	var all []accounts.ServiceInput
	if list != nil {
		all = make([]accounts.ServiceInput, len(list))
	}
	for i, s := range list {
		all[i] = accounts.ServiceInput{Code: s.Code, Enabled: s.Enabled}
		switch parameters := s.Parameters.Value().(type) {
		case nil:
		case map[string]any:
			all[i].Parameters = parameters
		default:
			return nil, models.E(models.Invalid, "parameters are an object of leaf names", "input", "services", strconv.Itoa(i), "parameters")
		}
	}
	return all, nil
}

func provisionInput(in model.ProvisionAccountInput) (accounts.ProvisionInput, error) {
	list, err := services(in.Services.Value())
	return accounts.ProvisionInput{
		IdempotencyKey: in.IdempotencyKey, ExternalID: in.ExternalID, Msisdn: in.Msisdn, DisplayName: given(in.DisplayName), Region: given(in.Region),
		IMPI: given(in.Impi), IMPU: in.Impu.Value(), SipPassword: models.Secret(given(in.SipPassword)), BoundMobile: given(in.BoundMobile),
		IMSI: given(in.Imsi), BroadbandAccount: given(in.BroadbandAccount), ScreenSerial: given(in.ScreenSerial), ClientTypes: in.ClientTypes,
		Services: list, MaxDevices: in.MaxDevices, Activate: in.Activate, AcceptIfSame: in.OnExisting == model.OnExistingAcceptIfSame,
		InitialPassword: models.Secret(given(in.InitialPassword)), WorkOrderExternalID: given(in.WorkOrderExternalID), Quiet: in.Quiet,
	}, err
}

// change keeps absent, null and a value apart (resolutions 59).
func change[T any](o graphql.Omittable[*T]) accounts.Optional[T] {
	value, set := o.ValueOK()
	return accounts.Optional[T]{Set: set, Null: set && value == nil, Value: deref(value)}
}

func changeList[T any](o graphql.Omittable[[]T]) accounts.Optional[[]T] {
	value, set := o.ValueOK()
	return accounts.Optional[[]T]{Set: set, Null: set && value == nil, Value: value}
}

func modifyInput(in model.ModifyAccountInput) (accounts.ModifyInput, error) {
	list, err := services(in.Services.Value())
	secret, offered := change(in.SipPassword), changeList(in.Services)
	return accounts.ModifyInput{
		IdempotencyKey: in.IdempotencyKey, Account: accountRef(in.Account), ExpectedVersion: expected(in.ExpectedVersion),
		DisplayName: change(in.DisplayName), Region: change(in.Region), IMPI: change(in.Impi), IMPU: changeList(in.Impu),
		SipPassword: accounts.Optional[models.Secret]{Set: secret.Set, Null: secret.Null, Value: models.Secret(secret.Value)},
		BoundMobile: change(in.BoundMobile), IMSI: change(in.Imsi), BroadbandAccount: change(in.BroadbandAccount),
		ScreenSerial: change(in.ScreenSerial), ClientTypes: changeList(in.ClientTypes),
		Services:   accounts.Optional[[]accounts.ServiceInput]{Set: offered.Set, Null: offered.Null, Value: list},
		MaxDevices: change(in.MaxDevices), WorkOrderExternalID: given(in.WorkOrderExternalID),
	}, err
}

func actionInput(in model.AccountActionInput) accounts.ActionInput {
	return accounts.ActionInput{
		IdempotencyKey: in.IdempotencyKey, Account: accountRef(in.Account), ExpectedVersion: expected(in.ExpectedVersion), Note: given(in.Note),
		WorkOrderExternalID: given(in.WorkOrderExternalID), Reason: given(in.Reason),
	}
}

func suspendInput(in model.SuspendAccountInput) accounts.ActionInput {
	return accounts.ActionInput{
		IdempotencyKey: in.IdempotencyKey, Account: accountRef(in.Account), ExpectedVersion: expected(in.ExpectedVersion), Note: given(in.Note),
		WorkOrderExternalID: given(in.WorkOrderExternalID), Reason: in.Reason,
	}
}

func resetInput(in model.ResetAccountPasswordInput) accounts.ResetInput {
	return accounts.ResetInput{
		IdempotencyKey: in.IdempotencyKey, Account: accountRef(in.Account), WorkOrderExternalID: given(in.WorkOrderExternalID),
		Reauthenticate: in.Reauthenticate,
	}
}

// accountPayload shows the account to whoever may also read it: ACCOUNT_WRITE in a region is no ACCOUNT_READ there.
func accountPayload(ctx context.Context, done accounts.Result, err error) (*model.AccountPayload, error) {
	refused, err := refusal(err)
	if done.Account != nil && !models.ActorFrom(ctx).Scope(models.AccountRead).Covers(done.Account.Region) {
		done.Account = nil
	}
	return &model.AccountPayload{Account: done.Account, Replayed: done.Replayed, UserErrors: refused}, err
}

// resetPayload is accountPayload with the message that went out.
func resetPayload(ctx context.Context, done accounts.Result, err error) (*model.ResetAccountPasswordPayload, error) {
	p, err := accountPayload(ctx, done, err)
	payload := &model.ResetAccountPasswordPayload{Account: p.Account, Replayed: p.Replayed, UserErrors: p.UserErrors}
	if err != nil || p.Account == nil {
		return payload, err
	}
	payload.Sms, err = requestFrom(ctx).messages.get(ctx, done.Sms)
	return payload, err
}

func registerInput(in model.RegisterDeviceInput) devices.RegisterInput {
	register := devices.RegisterInput{
		IdempotencyKey: in.IdempotencyKey, OUI: in.Identity.Oui, ProductClass: in.Identity.ProductClass, SerialNumber: in.Identity.SerialNumber,
		ClientType: in.ClientType, Manufacturer: given(in.Manufacturer), Model: given(in.Model), AcsUsername: in.AcsUsername.Value(), Tags: in.Tags.Value(),
	}
	if password := in.AcsPassword.Value(); password != nil {
		secret := models.Secret(*password)
		register.AcsPassword = &secret
	}
	return register
}

func updateInput(in model.UpdateDeviceInput) bindings.UpdateInput {
	return bindings.UpdateInput{
		Device: deviceRef(in.Device), ExpectedVersion: expected(in.ExpectedVersion), AddTags: in.AddTags.Value(), RemoveTags: in.RemoveTags.Value(),
		StockState: deref(in.StockState.Value()),
	}
}

func taskInput(in model.CreateDeviceTaskInput) tasks.CreateInput {
	create := tasks.CreateInput{
		IdempotencyKey: in.IdempotencyKey, Device: deviceRef(in.Device), Kind: in.Kind, Paths: in.Paths.Value(), ObjectPath: in.ObjectPath.Value(),
		NextLevel: in.NextLevel, ExpiresInSeconds: in.ExpiresInSeconds, Wake: in.Wake, DelaySeconds: in.DelaySeconds,
		Notification: in.Notification.Value(), Arguments: in.Arguments.Value(),
	}
	if s := in.PackageID.Value(); s != nil {
		id := idOf(models.KindPackage, *s)
		create.PackageID = &id
	}
	if list := in.Values.Value(); list != nil {
		create.Values = values(list)
	}
	return create
}

func startInput(in model.RunDiagnosticInput) diagnostics.StartInput {
	return diagnostics.StartInput{
		IdempotencyKey: in.IdempotencyKey, Device: deviceRef(in.Device), Kind: in.Kind, Host: in.Host.Value(), Server: in.Server.Value(),
		Bytes: in.Bytes.Value(), Count: in.Count.Value(), TimeoutSeconds: in.TimeoutSeconds,
	}
}

// resultOf is the member of the union that a result is; nil for none.
func resultOf(r *models.DiagnosticResult) types.DiagnosticResult {
	switch {
	case r == nil:
		return nil
	case r.Ping != nil:
		return r.Ping
	case r.Traceroute != nil:
		return r.Traceroute
	case r.Transfer != nil:
		return r.Transfer
	case r.Lookup != nil:
		return r.Lookup
	case r.Registration != nil:
		return r.Registration
	}
	return r.Loopback
}

func values(list []*model.ParameterValueInput) []models.Value {
	all := make([]models.Value, len(list))
	for i, v := range list {
		all[i] = models.Value{Name: v.Path, Value: v.Value, Type: v.Type}
	}
	return all
}

// parameterValues are a config task's values as the caller may see them: personal data belongs to devices of any region.
func (s *server) parameterValues(ctx context.Context, t *models.ConfigTask) []*model.ParameterValue {
	all := make([]*model.ParameterValue, len(t.Shown.V))
	for i, v := range t.Shown.V {
		if s.IsPersonal != nil && s.IsPersonal(v.Name) {
			if !models.ActorFrom(ctx).Scope(models.PIIRead).All {
				v.Value = masked(v.Value)
			} else {
				requestFrom(ctx).disclosures.add(models.Subject{Kind: models.KindConfigTask, ID: t.ID}, "values")
			}
		}
		all[i] = &model.ParameterValue{Path: v.Name, Value: v.Value, Type: v.Type}
	}
	return all
}

// shownFilter is a filter as it may be kept: an account by its id, not by its number.
func shownFilter(f devices.Filter) map[string]any {
	shown := map[string]any{}
	put := func(name string, given bool, value any) {
		if given {
			shown[name] = value
		}
	}
	put("clientTypes", len(f.ClientTypes) > 0, f.ClientTypes)
	put("models", len(f.Models) > 0, f.Models)
	put("softwareVersions", len(f.SoftwareVersions) > 0, f.SoftwareVersions)
	put("tagsAll", len(f.TagsAll) > 0, f.TagsAll)
	put("tagsAny", len(f.TagsAny) > 0, f.TagsAny)
	put("reachability", len(f.Reachability) > 0, f.Reachability)
	put("regions", len(f.Regions) > 0, f.Regions)
	put("text", f.Text != "", f.Text)
	if f.BoundTo != nil {
		shown["boundTo"] = map[string]any{"id": models.Subject{Kind: models.KindAccount, ID: *f.BoundTo}.GlobalID()}
	}
	if len(f.IDs) > 0 {
		ids := make([]string, len(f.IDs))
		for i, id := range f.IDs {
			ids[i] = models.Subject{Kind: models.KindDevice, ID: id}.GlobalID()
		}
		shown["ids"] = ids
	}
	return shown
}

func packageInput(in model.StartPackageUploadInput) packages.StartInput {
	return packages.StartInput{
		IdempotencyKey: in.IdempotencyKey, Name: in.Name, SoftwareVersion: in.SoftwareVersion, ClientType: in.ClientType, Models: in.Models, FileType: in.FileType,
		Size: in.Size, Sha256: in.Sha256, Signature: given(in.Signature), MinFromVersion: given(in.MinFromVersion), ReleaseNotes: given(in.ReleaseNotes),
	}
}

func packageAction(in model.TargetActionInput) packages.ActionInput {
	return packages.ActionInput{
		ID: idOf(models.KindPackage, in.ID), IdempotencyKey: given(in.IdempotencyKey), ExpectedVersion: version(in.ExpectedVersion), Note: given(in.Note),
	}
}

// webhookFilter reads the filter of saveWebhook, whose types stand beside it.
func webhookFilter(o graphql.Omittable[*model.EventFilter]) (*models.WebhookFilter, error) {
	f, set := o.ValueOK()
	if !set {
		return nil, nil
	}
	if f == nil {
		return &models.WebhookFilter{}, nil
	}
	if len(f.Types.Value()) > 0 {
		return nil, models.E(models.Invalid, "types stand beside the filter", "input", "filter", "types")
	}
	filter := &models.WebhookFilter{
		ClientTypes: f.ClientTypes.Value(), Accounts: idsOf(models.KindAccount, f.AccountIds.Value()), Devices: idsOf(models.KindDevice, f.DeviceIds.Value()),
		Regions: f.Regions.Value(),
	}
	for _, s := range f.SubjectIds.Value() {
		filter.Subjects = append(filter.Subjects, *s)
	}
	return filter, nil
}

func (s *server) saveWebhook(ctx context.Context, id models.ID, in model.SaveWebhookInput) (*models.Webhook, error) {
	filter, err := webhookFilter(in.Filter)
	if err != nil {
		return nil, err
	}
	return s.Webhooks.Save(ctx, webhooks.SaveInput{
		ID: id, ExpectedVersion: version(in.ExpectedVersion), URL: in.URL, Types: in.Types, Enabled: in.Enabled, Secret: models.Secret(given(in.Secret)),
		Filter: filter, From: in.From.Value(),
	})
}

func subjects(kind models.Kind, ids []models.ID) []*models.Subject {
	list := make([]*models.Subject, len(ids))
	for i, id := range ids {
		list[i] = &models.Subject{Kind: kind, ID: id}
	}
	return list
}

// shownRequest is a task's request with the global id of its package.
func shownRequest(request models.TaskRequest) (any, error) {
	if request.PackageID.IsZero() {
		return request, nil
	}
	return struct {
		models.TaskRequest
		PackageID string `json:"packageId"`
	}{request, models.Subject{Kind: models.KindPackage, ID: request.PackageID}.GlobalID()}, nil
}
