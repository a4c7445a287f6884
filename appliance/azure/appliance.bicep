// SPDX-License-Identifier: GPL-2.0-or-later
// One or two appliances in a virtual network of their own, with the address plan of README.md. Never
// compiled and never deployed: see there.

param location string = resourceGroup().location
param name string = 'sallyport'
@description('Resource id of an image or gallery image version of the appliance (Gen2)')
param imageId string
@description('Public key of the account "gateadmin"; there is no password')
param sshKey string
@allowed([1, 2])
@description('2: active/active behind an internal load balancer')
param appliances int = 1
param vmSize string = 'Standard_D4s_v5'
@description('Prefixes of clients beyond the subnet of this network: peered spokes')
param clientPrefixes array = []
@description('Name of a key vault of this resource group that has the services\' keys; empty: none')
param vaultName string = ''
@description('Secret of that vault with the authority, PEM or PKCS#12 (see README.md); two appliances need one, or each makes its own')
param caSecret string = ''
@description('What appliances and collector share: 32 random characters and more')
@secure()
@minLength(32)
param collectorKey string
@description('Also a machine for the collector')
param collector bool = true
@description('Also an Event Hub, for what takes events from the collector; empty: none')
param eventHubNamespace string = ''

var network = '10.80.0.0/16'
var clientsPrefix = '10.80.0.0/24'
var insidePrefix = '10.80.10.0/26'
var insideGateway = '10.80.10.1'
var insideFrontend = '10.80.10.4'
var insideFirst = '10.80.10.11'
var insideSecond = '10.80.10.12'
var outsidePrefix = '10.80.11.0/26'
var outsideFirst = '10.80.11.11'
var outsideSecond = '10.80.11.12'
var collectorPrefix = '10.80.13.0/28'
var collectorAddress = '10.80.13.4'
var endpointsPrefix = '10.80.20.0/26'

var insideAddresses = [insideFirst, insideSecond]
var outsideAddresses = [outsideFirst, outsideSecond]
var nextHop = appliances == 2 ? insideFrontend : insideFirst
// What replies to clients leave by, and what is translated when it is only forwarded.
var userData = reduce([
  {from: '@COLLECTOR@', to: collectorAddress}
  {from: '@COLLECTOR_KEY@', to: collectorKey}
  {from: '@CA_SECRET@', to: empty(vaultName) || empty(caSecret) ? '' : 'https://${vaultName}${environment().suffixes.keyvaultDns}/secrets/${caSecret}'}
  {from: '@INSIDE_GATEWAY@', to: insideGateway}
  {from: '@CLIENT_PREFIXES@', to: join(concat([clientsPrefix], clientPrefixes), ' ')}
], loadTextContent('user-data.yaml'), (text, one) => replace(text, one.from, one.to))

resource routes 'Microsoft.Network/routeTables@2023-11-01' = {
  name: '${name}-clients'
  location: location
  properties: {
    disableBgpRoutePropagation: true
    routes: [
      {
        name: 'all'
        properties: {addressPrefix: '0.0.0.0/0', nextHopType: 'VirtualAppliance', nextHopIpAddress: nextHop}
      }
      {
        // No broader than the network's own space, or the policies of the endpoints do not follow it.
        name: 'private-endpoints'
        properties: {addressPrefix: endpointsPrefix, nextHopType: 'VirtualAppliance', nextHopIpAddress: nextHop}
      }
    ]
  }
}

resource natAddress 'Microsoft.Network/publicIPAddresses@2023-11-01' = {
  name: '${name}-nat'
  location: location
  sku: {name: 'Standard'}
  properties: {publicIPAllocationMethod: 'Static'}
}

resource nat 'Microsoft.Network/natGateways@2023-11-01' = {
  name: '${name}-nat'
  location: location
  sku: {name: 'Standard'}
  properties: {idleTimeoutInMinutes: 4, publicIpAddresses: [{id: natAddress.id}]}
}

// Clients reach the appliance by their route and nothing of it but the health port by its address.
resource insideRules 'Microsoft.Network/networkSecurityGroups@2023-11-01' = {
  name: '${name}-inside'
  location: location
  properties: {
    securityRules: [
      {
        name: 'no-ssh'
        properties: {
          priority: 100
          direction: 'Inbound'
          access: 'Deny'
          protocol: 'Tcp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: insidePrefix
          destinationPortRange: '22'
        }
      }
      {
        // What is forwarded has a destination outside of the network, and the default rules deny it.
        name: 'forwarded'
        properties: {
          priority: 200
          direction: 'Inbound'
          access: 'Allow'
          protocol: '*'
          sourceAddressPrefixes: concat([clientsPrefix], clientPrefixes)
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource vnet 'Microsoft.Network/virtualNetworks@2023-11-01' = {
  name: '${name}-network'
  location: location
  properties: {
    addressSpace: {addressPrefixes: [network]}
    subnets: [
      {name: 'clients', properties: {addressPrefix: clientsPrefix, routeTable: {id: routes.id}}}
      {name: 'inside', properties: {addressPrefix: insidePrefix, networkSecurityGroup: {id: insideRules.id}}}
      {name: 'outside', properties: {addressPrefix: outsidePrefix, natGateway: {id: nat.id}}}
      {name: 'collector', properties: {addressPrefix: collectorPrefix, natGateway: {id: nat.id}}}
      {
        name: 'endpoints'
        properties: {addressPrefix: endpointsPrefix, privateEndpointNetworkPolicies: 'RouteTableEnabled'}
      }
    ]
  }
}

resource balancer 'Microsoft.Network/loadBalancers@2023-11-01' = if (appliances == 2) {
  name: '${name}-inside'
  location: location
  sku: {name: 'Standard'}
  properties: {
    frontendIPConfigurations: [
      {
        name: 'inside'
        properties: {
          subnet: {id: '${vnet.id}/subnets/inside'}
          privateIPAllocationMethod: 'Static'
          privateIPAddress: insideFrontend
        }
      }
    ]
    backendAddressPools: [{name: 'appliances'}]
    probes: [
      {
        name: 'health'
        properties: {protocol: 'Http', port: 9465, requestPath: '/health', intervalInSeconds: 5, probeThreshold: 2}
      }
    ]
    loadBalancingRules: [
      {
        name: 'all-ports'
        properties: {
          protocol: 'All'
          frontendPort: 0
          backendPort: 0
          loadDistribution: 'SourceIP'
          enableTcpReset: true
          idleTimeoutInMinutes: 30
          frontendIPConfiguration: {
            id: resourceId('Microsoft.Network/loadBalancers/frontendIPConfigurations', '${name}-inside', 'inside')
          }
          backendAddressPool: {
            id: resourceId('Microsoft.Network/loadBalancers/backendAddressPools', '${name}-inside', 'appliances')
          }
          probe: {id: resourceId('Microsoft.Network/loadBalancers/probes', '${name}-inside', 'health')}
        }
      }
    ]
  }
}

resource outsideNics 'Microsoft.Network/networkInterfaces@2023-11-01' = [for i in range(0, appliances): {
  name: '${name}-${i}-outside'
  location: location
  properties: {
    enableIPForwarding: true
    enableAcceleratedNetworking: true
    ipConfigurations: [
      {
        name: 'outside'
        properties: {
          subnet: {id: '${vnet.id}/subnets/outside'}
          privateIPAllocationMethod: 'Static'
          privateIPAddress: outsideAddresses[i]
        }
      }
    ]
  }
}]

resource insideNics 'Microsoft.Network/networkInterfaces@2023-11-01' = [for i in range(0, appliances): {
  name: '${name}-${i}-inside'
  location: location
  dependsOn: [balancer]
  properties: {
    enableIPForwarding: true
    enableAcceleratedNetworking: true
    ipConfigurations: [
      {
        name: 'inside'
        properties: {
          subnet: {id: '${vnet.id}/subnets/inside'}
          privateIPAllocationMethod: 'Static'
          privateIPAddress: insideAddresses[i]
          loadBalancerBackendAddressPools: appliances == 2
            ? [{id: resourceId('Microsoft.Network/loadBalancers/backendAddressPools', '${name}-inside', 'appliances')}]
            : []
        }
      }
    ]
  }
}]

resource machines 'Microsoft.Compute/virtualMachines@2024-03-01' = [for i in range(0, appliances): {
  name: '${name}-${i}'
  location: location
  identity: {type: 'SystemAssigned'}
  properties: {
    hardwareProfile: {vmSize: vmSize}
    storageProfile: {
      imageReference: {id: imageId}
      osDisk: {createOption: 'FromImage', diskSizeGB: 64, managedDisk: {storageAccountType: 'Premium_LRS'}}
    }
    securityProfile: {securityType: 'TrustedLaunch', uefiSettings: {secureBootEnabled: true, vTpmEnabled: true}}
    osProfile: {
      computerName: '${name}-${i}'
      adminUsername: 'gateadmin'
      customData: base64(userData)
      linuxConfiguration: {
        disablePasswordAuthentication: true
        ssh: {publicKeys: [{path: '/home/gateadmin/.ssh/authorized_keys', keyData: sshKey}]}
      }
    }
    networkProfile: {
      networkInterfaces: [
        {id: outsideNics[i].id, properties: {primary: true}}
        {id: insideNics[i].id, properties: {primary: false}}
      ]
    }
    diagnosticsProfile: {bootDiagnostics: {enabled: true}}
  }
}]

// Key Vault Secrets User
resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = if (!empty(vaultName)) {
  name: empty(vaultName) ? 'none' : vaultName
}
resource secretGet 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for i in range(0, appliances): if (!empty(vaultName)) {
  name: guid(resourceGroup().id, name, string(i), 'secrets')
  scope: vault
  properties: {
    principalId: machines[i].identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  }
}]

resource collectorNic 'Microsoft.Network/networkInterfaces@2023-11-01' = if (collector) {
  name: '${name}-collector'
  location: location
  properties: {
    ipConfigurations: [
      {
        name: 'collector'
        properties: {
          subnet: {id: '${vnet.id}/subnets/collector'}
          privateIPAllocationMethod: 'Static'
          privateIPAddress: collectorAddress
        }
      }
    ]
  }
}

resource collectorMachine 'Microsoft.Compute/virtualMachines@2024-03-01' = if (collector) {
  name: '${name}-collector'
  location: location
  properties: {
    hardwareProfile: {vmSize: 'Standard_D2s_v5'}
    storageProfile: {
      imageReference: {id: imageId}
      osDisk: {createOption: 'FromImage', diskSizeGB: 256, managedDisk: {storageAccountType: 'Premium_LRS'}}
    }
    securityProfile: {securityType: 'TrustedLaunch', uefiSettings: {secureBootEnabled: true, vTpmEnabled: true}}
    osProfile: {
      computerName: '${name}-collector'
      adminUsername: 'gateadmin'
      customData: base64(replace(
        replace(loadTextContent('user-data-collector.yaml'), '@COLLECTOR@', collectorAddress),
        '@COLLECTOR_KEY@', collectorKey))
      linuxConfiguration: {
        disablePasswordAuthentication: true
        ssh: {publicKeys: [{path: '/home/gateadmin/.ssh/authorized_keys', keyData: sshKey}]}
      }
    }
    networkProfile: {networkInterfaces: [{id: collectorNic.id}]}
    diagnosticsProfile: {bootDiagnostics: {enabled: true}}
  }
}

resource hub 'Microsoft.EventHub/namespaces@2024-01-01' = if (!empty(eventHubNamespace)) {
  name: empty(eventHubNamespace) ? 'none' : eventHubNamespace
  location: location
  sku: {name: 'Standard', tier: 'Standard', capacity: 1}
  properties: {minimumTlsVersion: '1.2', publicNetworkAccess: 'Disabled'}
  resource events 'eventhubs' = {
    name: 'sallyport'
    properties: {partitionCount: 4, messageRetentionInDays: 7}
  }
}

output nextHop string = nextHop
output outboundAddress string = natAddress.properties.ipAddress
